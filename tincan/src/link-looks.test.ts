import { monotonicMs } from '@kith/base';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Pace } from './channel/library-threads.ts';
import { LinkLooks, type LookedAt } from './link-looks.ts';

class FakeLink implements LookedAt {
  isCalm = false;
  isResting = false;
  readonly looks: number[] = [];

  tick(now: number, dueAt: number): void {
    expect(dueAt).toBeLessThanOrEqual(now);
    this.looks.push(now);
  }

  rest(): void {
    this.isCalm = true;
    this.isResting = true;
  }
}

let links: FakeLink[];
let pace: Pace | undefined;
let used: (() => void) | undefined;
let looks: LinkLooks;

beforeEach(() => {
  vi.useFakeTimers();
  links = [new FakeLink(), new FakeLink()];
  used = undefined;
  looks = new LinkLooks({
    every: () => links,
    whenUsed: (handler) => {
      used = handler;
    },
    setPace: (now) => {
      pace = now;
    },
  });
  looks.start();
});

afterEach(() => {
  looks.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** Looks at each link in so many ms. */
function looksWithin(ms: number): number[] {
  const before = links.map((link) => link.looks.length);
  vi.advanceTimersByTime(ms);
  return links.map((link, index) => link.looks.length - (before[index] ?? 0));
}

test('a calm link is looked at once a second, at whole seconds, however busy another is', () => {
  const [calm, busy] = links;
  if (calm === undefined || busy === undefined) throw new Error('two links');
  calm.isCalm = true;
  vi.advanceTimersByTime(1_000);
  const [ofCalm, ofBusy] = looksWithin(10_000);
  expect(ofCalm).toBeGreaterThanOrEqual(9);
  expect(ofCalm).toBeLessThanOrEqual(11);
  expect(ofBusy).toBeGreaterThanOrEqual(39);
  expect(pace).toBe('busy');
});

test('links that all rest are looked at each 15 s, and at once when a frame goes or comes', () => {
  for (const link of links) link.rest();
  vi.advanceTimersByTime(3_000);
  expect(pace).toBe('resting');
  for (const count of looksWithin(60_000)) expect(count).toBe(4);
  used?.();
  expect(looksWithin(1)).toEqual([1, 1]);
});

test('one link that does not rest any more, or another link, ends the rest of all', () => {
  for (const link of links) link.rest();
  vi.advanceTimersByTime(3_000);
  for (const link of links) link.isResting = false;
  looks.stir();
  for (const count of looksWithin(5_000)) expect(count).toBeGreaterThanOrEqual(5);
  for (const link of links) link.rest();
  vi.advanceTimersByTime(3_000);
  const third = new FakeLink();
  links.push(third);
  looks.opened();
  expect(pace).toBe('busy');
  expect(looksWithin(1)).toEqual([1, 1, 1]);
  expect(looksWithin(1_000)[2]).toBe(4);
});

test('a look at all comes when it was asked for, also of links that rest', () => {
  for (const link of links) link.rest();
  vi.advanceTimersByTime(20_000);
  // Not beside a look of the schedule.
  vi.advanceTimersByTime(15_000 - ((monotonicMs() + 10_000) % 15_000));
  looks.lookAtAllAfter(401);
  expect(looksWithin(400)).toEqual([0, 0]);
  expect(looksWithin(2)).toEqual([1, 1]);
});
