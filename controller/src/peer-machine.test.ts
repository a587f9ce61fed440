import type { SecurityTerms, Signal } from '@kith/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ATTEMPT_TIMEOUT_MS, PeerMachine } from './peer-machine.ts';
import { Simulation } from './peer-simulation.test.helper.ts';

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
