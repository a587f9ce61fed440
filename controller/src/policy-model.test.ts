import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Simulation } from './peer-simulation.test.helper.ts';
import { ATTEMPT_TIMEOUT_MS, WANTED_MS } from './peer-timing.ts';

const step = fc.record({
  on: fc.constantFrom('a' as const, 'b' as const),
  what: fc.constantFrom(
    ...['present', 'absent', 'deliver', 'deliver', 'deliver', 'lose', 'notice', 'notice', 'notice'],
    ...['wait', 'wait-long', 'jump', 'crash-tincan', 'crash-controller', 'want', 'want', 'rest'],
    ...['revoke', 'admit', 'silent', 'silent', 'heard', 'network'],
  ),
});
const modes = fc.record({ a: fc.boolean(), b: fc.boolean() });

function play(simulation: Simulation, { on, what }: { on: 'a' | 'b'; what: string }): void {
  const node = simulation[on];
  const { now } = simulation;
  // Presence of a stranger is not heard, and his frames are for nobody that tincan knows.
  if (what === 'present' && node.admits) node.run(node.machine.present(now));
  else if (what === 'absent') node.run(node.machine.absent());
  else if (what === 'deliver') simulation.deliver(node, false);
  else if (what === 'lose') simulation.deliver(node, true);
  else if (what === 'notice') node.readNotice();
  else if (what === 'wait') simulation.advance(200);
  else if (what === 'wait-long') simulation.advance(ATTEMPT_TIMEOUT_MS + 1);
  // A machine that slept for days.
  else if (what === 'jump') simulation.advance(3 * 86_400_000);
  else if (what === 'crash-tincan') node.crashTincan();
  else if (what === 'crash-controller') {
    node.crashController(node.admits);
    // A controller that comes back takes over the links of members only.
    if (!node.admits) node.revoke();
  } else if (what === 'want' && node.admits) node.run(node.machine.want(now));
  else if (what === 'rest') node.run(node.machine.rest('no packet for a while'));
  else if (what === 'revoke') node.revoke();
  else if (what === 'admit') node.admits = true;
  else if (what === 'silent') node.doubt(true);
  else if (what === 'heard') node.doubt(false);
  else if (what === 'network') node.run(node.machine.networkChanged(now));
  simulation.settleLinks();
}

test('whatever happened in whatever order: no link outlives its admission, and a pair that can and wants to ends online', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1 }), modes, fc.array(step, { maxLength: 80 }), (seed, onDemand, steps) => {
      const simulation = new Simulation({ seed, onDemand });
      for (const each of steps) {
        play(simulation, each);
        for (const node of [simulation.a, simulation.b]) {
          if (node.admits) continue;
          expect([node.link, node.old]).toEqual([undefined, undefined]);
          expect(node.machine.state.is).toBe('idle');
        }
      }
      for (const node of [simulation.a, simulation.b]) {
        node.admits = true;
        node.run(node.machine.present(simulation.now));
        // A packet for it; the next ones come each second as long as there is no link.
        node.run(node.machine.want(simulation.now));
      }
      for (let second = 0; second < 600 && !simulation.isOnline(); second++) {
        simulation.deliverAll(1_000);
        if (!simulation.isOnline()) simulation.a.run(simulation.a.machine.want(simulation.now));
      }
      expect(simulation.isOnline()).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test('a link given up by one end stays closed on both until a packet or the peer wants it, whoever is proactive', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1 }),
      modes,
      fc.boolean(),
      fc.boolean(),
      (seed, onDemand, first, second) => {
        const simulation = new Simulation({ seed, onDemand });
        const [rester, waker] = [first ? simulation.a : simulation.b, second ? simulation.a : simulation.b];
        simulation.a.run(simulation.a.machine.want(0));
        simulation.calm();
        expect(simulation.isOnline()).toBe(true);
        simulation.advance(WANTED_MS + ATTEMPT_TIMEOUT_MS);
        rester.run(rester.machine.rest('no packet for a while'));
        simulation.settleLinks();
        for (let minute = 0; minute < 30; minute++) {
          // Presence is repeated now and then; that is no news.
          for (const node of [simulation.a, simulation.b]) node.run(node.machine.present(simulation.now));
          simulation.deliverAll(60_000);
          expect([simulation.a.link, simulation.b.link]).toEqual([undefined, undefined]);
          expect([simulation.a.machine.state.is, simulation.b.machine.state.is]).toEqual(['idle', 'idle']);
        }
        waker.run(waker.machine.want(simulation.now));
        simulation.calm();
        expect(simulation.isOnline()).toBe(true);
      },
    ),
    { numRuns: 200 },
  );
});

test('an on-demand node that nobody answers tries with growing pauses while packets come, and rests when they end', () => {
  const simulation = new Simulation({ seed: 7, onDemand: { a: true, b: true } });
  const { a } = simulation;
  a.run(a.machine.present(0));
  expect(a.machine.state.is).toBe('idle');
  const starts: number[] = [];
  let last = 0;
  for (let second = 0; second < 600; second++) {
    a.run(a.machine.want(simulation.now));
    a.outbox = [];
    while (a.notices.length > 0) a.readNotice();
    simulation.advance(1_000);
    if (a.machine.attempt > last) starts.push(simulation.now);
    last = a.machine.attempt;
  }
  const pauses = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
  expect(pauses.length).toBeGreaterThan(5);
  expect(Math.max(...pauses)).toBeGreaterThan(40_000);
  expect(Math.max(...pauses)).toBeLessThan(80_000);
  simulation.advance(WANTED_MS + 60_000);
  simulation.advance(60_000);
  expect(a.machine.state.is).toBe('idle');
  expect(a.link).toBeUndefined();
});

test('a link that goes silent on one end or both is made anew, and carries until then', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1 }),
      modes,
      fc.constantFrom('a', 'b', 'both'),
      fc.boolean(),
      (seed, onDemand, which, comesBack) => {
        const simulation = new Simulation({ seed, onDemand });
        simulation.a.run(simulation.a.machine.want(0));
        simulation.calm();
        simulation.deliverAll(60_000);
        const { a, b } = simulation;
        const before = a.link?.attempt ?? 0;
        const silent = which === 'a' ? [a] : which === 'b' ? [b] : [a, b];
        for (const node of silent) node.doubt(true);
        for (const node of silent) node.readNotice();
        expect([a.old ?? a.link, b.old ?? b.link].map((link) => link?.attempt)).toEqual([before, before]);
        if (comesBack) {
          for (const node of silent) node.doubt(false);
          for (const node of silent) node.readNotice();
        }
        // Longer than an attempt that only one end knows of.
        for (let step = 0; step < 40; step++) {
          simulation.deliverAll(500);
          expect([a.machine.state.is, b.machine.state.is]).toEqual(['online', 'online']);
          expect([a.old ?? a.link, b.old ?? b.link].every((link) => link?.online)).toBe(true);
        }
        expect(simulation.isOnline()).toBe(true);
        if (!comesBack) expect(a.link?.attempt).toBeGreaterThan(before);
        expect([a.old, b.old]).toEqual([undefined, undefined]);
      },
    ),
    { numRuns: 300 },
  );
});

test('an attempt to renew a silent link that nobody answers ends, and the link goes on', () => {
  const simulation = new Simulation({ seed: 5 });
  simulation.calm();
  const { a, b } = simulation;
  const attempt = a.link?.attempt;
  a.doubt(true);
  a.readNotice();
  a.readNotice();
  // The hub lost the signal.
  a.outbox = [];
  expect(a.old?.attempt).toBe(attempt);
  simulation.advance(ATTEMPT_TIMEOUT_MS + 1);
  expect(a.old).toBeUndefined();
  expect([a.link?.attempt, b.link?.attempt]).toEqual([attempt, attempt]);
  expect(a.machine.state.is).toBe('online');
});
