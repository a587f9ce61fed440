import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  HeldFrames,
  HOLD_MS,
  MAX_BYTES_PER_MEMBER,
  MAX_FRAMES_PER_MEMBER,
  MAX_HELD_BYTES,
} from './held-frames.ts';

function frame(first: number, length = 60): Uint8Array {
  return new Uint8Array(length).fill(first);
}

test('frames come back in order, as copies, and once', () => {
  const held = new HeldFrames();
  const data = Uint8Array.of(9, 1, 2, 3, 9);
  expect(held.hold('a', data, 1, 3, 0)).toBe(true);
  data.fill(0);
  held.hold('a', frame(4, 1), 0, 1, 0);
  held.hold('b', frame(5, 1), 0, 1, 0);
  expect(held.take('a')).toEqual([Uint8Array.of(1, 2, 3), Uint8Array.of(4)]);
  expect(held.take('a')).toEqual([]);
  expect([held.frames, held.bytes]).toEqual([1, 1]);
});

test('a full queue refuses the newest frame, by count and by size', () => {
  const held = new HeldFrames();
  for (let index = 0; index < MAX_FRAMES_PER_MEMBER; index++)
    expect(held.hold('a', frame(index), 0, 60, 0)).toBe(true);
  expect(held.hold('a', frame(99), 0, 60, 0)).toBe(false);
  expect(held.take('a').map((bytes) => bytes[0])).toEqual([...Array(MAX_FRAMES_PER_MEMBER).keys()]);
  const large = frame(1, MAX_BYTES_PER_MEMBER / 2);
  expect([1, 2, 3].map(() => held.hold('a', large, 0, large.length, 0))).toEqual([true, true, false]);
});

test('all members together are bounded', () => {
  const held = new HeldFrames();
  const large = frame(1, MAX_BYTES_PER_MEMBER);
  const most = MAX_HELD_BYTES / MAX_BYTES_PER_MEMBER;
  for (let index = 0; index < most; index++)
    expect(held.hold(`${index}`, large, 0, large.length, 0)).toBe(true);
  expect(held.hold('one more', frame(1), 0, 60, 0)).toBe(false);
  held.take('3');
  expect(held.hold('one more', frame(1), 0, 60, 0)).toBe(true);
});

test('a frame is forgotten when its time is over, and only it', () => {
  const held = new HeldFrames();
  held.hold('a', frame(1), 0, 60, 0);
  held.hold('a', frame(2), 0, 60, 5_000);
  expect(held.expire(HOLD_MS - 1)).toBe(0);
  expect(held.expire(HOLD_MS)).toBe(1);
  expect(held.take('a').map((bytes) => bytes[0])).toEqual([2]);
});

const step = fc.oneof(
  fc.record({
    do: fc.constant('hold'),
    uid: fc.constantFrom('a', 'b', 'c'),
    bytes: fc.integer({ min: 1, max: 70_000 }),
  }),
  fc.record({
    do: fc.constantFrom('take', 'pass'),
    uid: fc.constantFrom('a', 'b', 'c'),
    bytes: fc.nat(8_000),
  }),
);

test('under any mix of steps what is held is what was taken in, less what was given up', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const held = new HeldFrames();
      let frames = 0;
      let now = 0;
      for (const { do: action, uid, bytes } of steps) {
        if (action === 'hold') frames += held.hold(uid, frame(1, bytes), 0, bytes, now) ? 1 : 0;
        else if (action === 'take') frames -= held.take(uid).length;
        else {
          now += bytes;
          frames -= held.expire(now);
        }
        expect(held.frames).toBe(frames);
        expect(held.bytes).toBeLessThanOrEqual(MAX_HELD_BYTES);
      }
      expect(held.expire(now + HOLD_MS)).toBe(frames);
      expect([held.frames, held.bytes]).toEqual([0, 0]);
    }),
  );
});
