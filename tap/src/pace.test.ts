import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EGRESS_PACE, INGRESS_PACE, newPace, Pace } from './pace.ts';

class FakeScheduling {
  isBatch = false;
  calls = 0;
  setBatch(isBatch: boolean): boolean {
    this.calls++;
    this.isBatch = isBatch;
    return true;
  }
}

test('a stream makes a batch thread within a window, its end an ordinary one with the next frame', () => {
  const scheduling = new FakeScheduling();
  const pace = new Pace(newPace(), EGRESS_PACE, 0, scheduling);
  for (let now = 0; now <= 50; now++) {
    pace.add(100_000);
    pace.look(now);
  }
  expect(scheduling.isBatch).toBe(true);
  pace.add(98);
  pace.look(1_000);
  expect(scheduling.isBatch).toBe(false);
  expect(scheduling.calls).toBe(2);
});

test('the worker of the acknowledgements goes with the one that carries the stream, and back when that has been quiet', () => {
  const shared = newPace();
  const data = new FakeScheduling();
  const answers = new FakeScheduling();
  const carrier = new Pace(shared, EGRESS_PACE, 0, data);
  const other = new Pace(shared, INGRESS_PACE, 0, answers);
  for (let now = 0; now <= 100; now++) {
    carrier.add(100_000);
    carrier.look(now);
    other.add(66);
    other.look(now);
  }
  expect([data.isBatch, answers.isBatch]).toEqual([true, true]);
  // The carrier sleeps and says nothing any more.
  other.look(250);
  expect(answers.isBatch).toBe(true);
  other.look(310);
  expect(answers.isBatch).toBe(false);
});

test('a clock past 2^31 ms, 24 days after a start, changes nothing', () => {
  const shared = newPace();
  const answers = new FakeScheduling();
  const begin = 2 ** 31 - 60;
  const carrier = new Pace(shared, EGRESS_PACE, begin, new FakeScheduling());
  const other = new Pace(shared, INGRESS_PACE, begin, answers);
  for (let now = begin; now <= begin + 120; now++) {
    carrier.add(100_000);
    carrier.look(now);
    other.look(now);
  }
  expect(answers.isBatch).toBe(true);
  expect(answers.calls).toBe(1);
});

test('small frames never make a batch thread, however many come at once', () => {
  const scheduling = new FakeScheduling();
  const pace = new Pace(newPace(), EGRESS_PACE, 0, scheduling);
  for (let now = 0; now <= 5_000; now += 0.1) {
    pace.add(98);
    pace.look(now);
  }
  expect(scheduling.calls).toBe(0);
});

test.each([
  ['a ping', 98, 0.01, false],
  ['a call', 200, 0.1, false],
  ['a TCP stream of super-frames', 65_000, 10, true],
  ['datagrams at full blast', 106, 150, true],
])(
  '%s, of frames with %i bytes and %d of them in a millisecond: a flow in which a worker lets others go first: %s',
  (_, bytes, perMs, expected) => {
    const pace = new Pace(newPace(), EGRESS_PACE, 0, new FakeScheduling());
    for (let now = 0; now <= 1_000; now += 1 / perMs) {
      pace.add(bytes);
      pace.look(now);
    }
    expect(pace.isFlow).toBe(expected);
  },
);

test('a flow ends with the first frame after a silence', () => {
  const pace = new Pace(newPace(), EGRESS_PACE, 0, new FakeScheduling());
  for (let now = 0; now <= 51; now += 0.01) {
    pace.add(106);
    pace.look(now);
  }
  expect(pace.isFlow).toBe(true);
  pace.add(98);
  pace.look(1_000);
  expect(pace.isFlow).toBe(false);
});

test('the policy changes at most 20 times a second, whatever comes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.double({ min: 0, max: 30, noNaN: true }), fc.nat(2_000_000)), { maxLength: 300 }),
      (steps) => {
        const scheduling = new FakeScheduling();
        const pace = new Pace(newPace(), EGRESS_PACE, 0, scheduling);
        let now = 0;
        for (const [wait, bytes] of steps) {
          now += wait;
          pace.add(bytes);
          pace.look(now);
        }
        expect(scheduling.calls).toBeLessThanOrEqual(now / 50);
      },
    ),
  );
});
