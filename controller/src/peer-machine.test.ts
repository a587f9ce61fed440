import { type SecurityTerms, type Signal, type SignalType, uidOfFingerprint } from '@kith/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ATTEMPT_TIMEOUT_MS, type PeerAction, PeerMachine, type RemoteEnd } from './peer-machine.ts';

const always: SecurityTerms = { mode: 'always', groups: [], without_common_group: 'plain' };

/**
 * One node of the simulation: the machine, and a tincan that follows the rules of create_link (renumber while unbound, replace when
 * bound, refuse another session under the same number).
 */
class SimulatedNode {
  readonly name: string;
  readonly fpr: string;
  machine: PeerMachine;
  link: { attempt: number; ufrag: string; remote: string | undefined; online: boolean } | undefined;
  outbox: { type: SignalType; attempt: number; cas: string }[] = [];
  /** Notifications that tincan has sent and the controller has not read yet. */
  notices: (() => PeerAction[])[] = [];
  #sessions = 0;
  now = 0;
  readonly #random: () => number;
  readonly #peerUid: string;

  constructor(name: string, random: () => number) {
    this.name = name;
    this.#random = random;
    this.fpr = Array(32).fill(name.repeat(2)).join(':');
    this.#peerUid = uidOfFingerprint(
      Array(32)
        .fill(name === 'A' ? 'BB' : 'AA')
        .join(':'),
    );
    this.machine = new PeerMachine(this.#peerUid, always, random);
  }

  run(actions: readonly PeerAction[]): void {
    for (const action of actions) {
      if (action.do === 'send') this.outbox.push(action);
      else if (action.do === 'trim-link') this.#close();
      else this.#createLink(action.attempt, action.remote);
    }
  }

  #createLink(attempt: number, remote: RemoteEnd | undefined): void {
    const ufrag = remote?.cas.split(':')[6];
    if (this.link !== undefined && attempt > this.link.attempt) {
      if (this.link.remote === undefined) this.link.attempt = attempt;
      else this.#close();
    }
    if (
      this.link !== undefined &&
      this.link.remote !== undefined &&
      ufrag !== undefined &&
      ufrag !== this.link.remote
    ) {
      this.notices.push(() => this.machine.taken(attempt, this.now));
      return;
    }
    if (this.link === undefined) {
      this.link = { attempt, ufrag: `${this.name}${++this.#sessions}`, remote: undefined, online: false };
    }
    const link = this.link;
    if (ufrag !== undefined) link.remote = ufrag;
    const cas = `0:1:udp:10.0.0.1:5000:1:${link.ufrag}:0123456789012345678901:local::0:1`;
    this.notices.push(() => this.machine.described(link.attempt, cas));
  }

  #close(): void {
    const link = this.link;
    if (link === undefined) return;
    this.link = undefined;
    this.notices.push(() => this.machine.offline(link.attempt, 'closed', this.now));
  }

  receive(message: { type: SignalType; attempt: number; cas: string }, from: SimulatedNode): void {
    const signal: Signal = {
      v: 1,
      uid: uidOfFingerprint(from.fpr),
      fpr: from.fpr,
      security: always,
      ...message,
    };
    const actions = this.machine.signal(message.type, signal, this.now);
    if (actions === undefined) throw new Error('refused');
    this.run(actions);
  }

  readNotice(): void {
    const notice = this.notices.shift();
    if (notice !== undefined) this.run(notice());
  }

  /** tincan is killed: its link is gone without a word. */
  crashTincan(): void {
    this.link = undefined;
    this.notices = [];
    this.run(this.machine.tincanRestarted(this.now));
  }

  /** The controller is killed and takes over what tincan holds. */
  crashController(present: boolean): void {
    this.outbox = [];
    this.notices = [];
    this.machine = new PeerMachine(this.#peerUid, always, this.#random);
    if (this.link !== undefined) this.run(this.machine.adopt(this.link.attempt, this.link.online, this.now));
    if (present) this.run(this.machine.present(this.now));
  }
}

class Simulation {
  readonly a: SimulatedNode;
  readonly b: SimulatedNode;
  now = 0;

  constructor(seed: number) {
    let state = seed >>> 0 || 1;
    // xorshift32: the run must depend on the seed alone.
    const random = () => {
      state ^= state << 13;
      state >>>= 0;
      state ^= state >>> 17;
      state ^= state << 5;
      state >>>= 0;
      return state / 2 ** 32;
    };
    this.a = new SimulatedNode('A', random);
    this.b = new SimulatedNode('B', random);
  }

  other(node: SimulatedNode): SimulatedNode {
    return node === this.a ? this.b : this.a;
  }

  advance(ms: number): void {
    this.now += ms;
    for (const node of [this.a, this.b]) {
      node.now = this.now;
      node.run(node.machine.tick(this.now));
    }
    this.settleLinks();
  }

  /** Links whose ends are bound to each other's session come up; an online one whose other end is gone dies. */
  settleLinks(): void {
    const { a, b } = this;
    const joined =
      a.link !== undefined &&
      b.link !== undefined &&
      a.link.attempt === b.link.attempt &&
      a.link.remote === b.link.ufrag &&
      b.link.remote === a.link.ufrag;
    for (const node of [a, b]) {
      const link = node.link;
      if (link === undefined) continue;
      if (joined && !link.online) {
        link.online = true;
        node.notices.push(() => {
          node.machine.online(link.attempt, this.now);
          return [];
        });
      } else if (!joined && link.online) {
        node.link = undefined;
        node.notices.push(() => node.machine.offline(link.attempt, 'nothing heard', this.now));
      }
    }
  }

  deliver(from: SimulatedNode, lose: boolean): void {
    const message = from.outbox.shift();
    if (message === undefined) return;
    if (lose) from.run(from.machine.undelivered(message.attempt, 'lost', this.now));
    else this.other(from).receive(message, from);
    this.settleLinks();
  }

  /** Lets everything be delivered for as long as two nodes may reasonably need. */
  calm(): void {
    for (const node of [this.a, this.b]) node.run(node.machine.present(this.now));
    for (let step = 0; step < 2_000 && !this.isOnline(); step++) {
      for (const node of [this.a, this.b]) {
        while (node.notices.length > 0 || node.outbox.length > 0) {
          node.readNotice();
          this.deliver(node, false);
        }
      }
      this.advance(500);
    }
  }

  isOnline(): boolean {
    return [this.a, this.b].every(
      (node) => node.link?.online === true && node.machine.state.is === 'online' && node.notices.length === 0,
    );
  }
}

test('two nodes that start in the same instant get one common link', () => {
  const simulation = new Simulation(1);
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
      const simulation = new Simulation(seed);
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
