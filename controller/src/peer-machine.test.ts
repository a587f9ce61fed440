import type { SecurityTerms, Signal } from '@kith/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PeerMachine } from './peer-machine.ts';
import { Simulation } from './peer-simulation.test.helper.ts';
import { ATTEMPT_TIMEOUT_MS } from './peer-timing.ts';

const always: SecurityTerms = { mode: 'always', groups: [], without_common_group: 'plain' };

test('two nodes that start in the same instant get one common link', () => {
  const simulation = new Simulation({ seed: 1 });
  simulation.calm();
  expect(simulation.isOnline()).toBe(true);
  expect(simulation.a.machine.attempt).toBe(simulation.b.machine.attempt);
});

test('whatever was lost, repeated or restarted, in whatever order: once the network is calm, the pair comes online', () => {
  const step = fc.record({
    on: fc.constantFrom('a' as const, 'b' as const),
    what: fc.constantFrom(
      'present',
      'absent',
      'deliver',
      'deliver',
      'deliver',
      'lose',
      'notice',
      'notice',
      'notice',
      'wait',
      'wait-long',
      'crash-tincan',
      'crash-controller',
    ),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1 }), fc.array(step, { maxLength: 60 }), (seed, steps) => {
      const simulation = new Simulation({ seed });
      for (const { on, what } of steps) {
        const node = simulation[on];
        if (what === 'present') node.run(node.machine.present(simulation.now));
        else if (what === 'absent') node.run(node.machine.absent());
        else if (what === 'deliver') simulation.deliver(node, false);
        else if (what === 'lose') simulation.deliver(node, true);
        else if (what === 'notice') node.readNotice();
        else if (what === 'wait') simulation.advance(200);
        else if (what === 'wait-long') simulation.advance(ATTEMPT_TIMEOUT_MS + 1);
        else if (what === 'crash-tincan') node.crashTincan();
        else node.crashController(true);
        simulation.settleLinks();
      }
      simulation.calm();
      expect(simulation.isOnline()).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test('a peer that never answers is given up after the time-out and tried again with growing pauses', () => {
  const machine = new PeerMachine('ab'.repeat(20), always, () => 1);
  expect(machine.present(0)).toMatchObject([{ do: 'create-link', attempt: 1 }]);
  machine.described(1, '0:1:udp:10.0.0.1:5000:1:abcd:0123456789012345678901:local::0:1');
  expect(machine.tick(ATTEMPT_TIMEOUT_MS - 1)).toEqual([]);
  expect(machine.tick(ATTEMPT_TIMEOUT_MS)).toMatchObject([{ do: 'trim-link' }]);
  expect(machine.state).toMatchObject({ is: 'waiting', until: ATTEMPT_TIMEOUT_MS + 500 });
  expect(machine.tick(ATTEMPT_TIMEOUT_MS + 500)).toMatchObject([{ do: 'create-link', attempt: 2 }]);
});

test('revocation trims a running link at once and forgets the presence', () => {
  const machine = new PeerMachine('ab'.repeat(20), always);
  machine.adopt(4, true, 0);
  expect(machine.revoke('removed')).toEqual([{ do: 'trim-link', uid: 'ab'.repeat(20), reason: 'removed' }]);
  expect(machine.state.is).toBe('idle');
  expect(machine.tick(1e9)).toEqual([]);
});

test('ends that share no group under "refuse" get no link, and the signal is answered with a refusal', () => {
  const mine: SecurityTerms = { mode: 'groups', groups: ['a'], without_common_group: 'refuse' };
  const machine = new PeerMachine('ab'.repeat(20), mine);
  const signal: Signal = {
    v: 1,
    uid: 'ab'.repeat(20),
    fpr: 'AB:'.repeat(31).concat('AB'),
    attempt: 1,
    cas: '0:1:udp:10.0.0.1:5000:1:abcd:0123456789012345678901:local::0:1',
    security: { mode: 'groups', groups: ['b'], without_common_group: 'plain' },
  };
  expect(machine.signal('con_req', signal, 0)).toBeUndefined();
  expect(machine.state).toMatchObject({ is: 'refused' });
});

/** A machine whose link of attempt 1 is online, since long. */
function online(): PeerMachine {
  const machine = new PeerMachine('ab'.repeat(20), always, () => 1);
  machine.adopt(1, true, 0);
  return machine;
}

test('a silent link waits for the peer to be at the hub, and is made anew as soon as it is', () => {
  const machine = online();
  expect(machine.suspect(1, 20_000)).toEqual([]);
  expect(machine.present(20_500)).toMatchObject([{ do: 'create-link', attempt: 2 }]);
  expect(machine.state.is).toBe('online');
});

test('a renewal that failed is tried again after a pause, as long as the link is silent', () => {
  const machine = online();
  machine.present(0);
  machine.suspect(1, 20_000);
  expect(machine.undelivered(2, 'lost', 20_100)).toMatchObject([{ do: 'trim-link', attempt: 2 }]);
  expect(machine.state.is).toBe('online');
  const due = machine.nextDeadline();
  expect(due).toBeGreaterThan(20_100);
  expect(machine.tick(due - 1)).toEqual([]);
  expect(machine.tick(due)).toMatchObject([{ do: 'create-link', attempt: 3 }]);
  machine.heardAgain(1);
  expect(machine.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
});

test('the end of the old link leaves the attempt that is to replace it alone', () => {
  const machine = online();
  machine.present(0);
  machine.suspect(1, 20_000);
  expect(machine.offline(1, 'nothing heard', 22_000)).toEqual([]);
  expect(machine.state.is).toBe('connecting');
  expect(machine.attempt).toBe(2);
});

test('a change of the network begins an attempt anew, and leaves a link that is online alone', () => {
  const machine = new PeerMachine('ab'.repeat(20), always, () => 1);
  machine.present(0);
  expect(machine.networkChanged(100)).toMatchObject([{ do: 'create-link', attempt: 2 }]);
  expect(online().networkChanged(100)).toEqual([]);
});
