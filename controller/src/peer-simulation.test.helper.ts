import { type SecurityTerms, type Signal, type SignalType, uidOfFingerprint } from '@kith/protocol';
import { PeerMachine } from './peer-machine.ts';
import type { PeerAction, RemoteEnd } from './peer-state.ts';

const always: SecurityTerms = { mode: 'always', groups: [], without_common_group: 'plain' };

export interface SimulatedLink {
  attempt: number;
  ufrag: string;
  remote: string | undefined;
  online: boolean;
}

export interface SimulationOptions {
  seed: number;
  /** Whether each end waits for packets before it links. */
  onDemand?: { a: boolean; b: boolean };
}

/**
 * One node of the simulation: the machine, and a tincan that follows the rules of create_link (renumber while unbound, replace when
 * bound, refuse another session under the same number). One that is online stays beside its successor until that is online.
 */
export class SimulatedNode {
  readonly name: string;
  readonly fpr: string;
  machine: PeerMachine;
  /** The newest link. */
  link: SimulatedLink | undefined;
  /** The one before it, which is online. */
  old: SimulatedLink | undefined;
  outbox: { type: SignalType; attempt: number; cas: string }[] = [];
  /** Notifications that tincan has sent and the controller has not read yet. */
  notices: (() => PeerAction[])[] = [];
  #sessions = 0;
  now = 0;
  /** Whether policy admits the peer. */
  admits = true;
  /** Why online links were closed, on its way to the other end. */
  bye: { attempt: number; reason: string }[] = [];
  readonly #onDemand: boolean;
  readonly #random: () => number;
  readonly #peerUid: string;

  constructor(name: string, random: () => number, onDemand: boolean) {
    this.name = name;
    this.#random = random;
    this.#onDemand = onDemand;
    this.fpr = Array(32).fill(name.repeat(2)).join(':');
    this.#peerUid = uidOfFingerprint(
      Array(32)
        .fill(name === 'A' ? 'BB' : 'AA')
        .join(':'),
    );
    this.machine = this.#newMachine();
  }

  #newMachine(): PeerMachine {
    return new PeerMachine(this.#peerUid, always, this.#random, this.#onDemand);
  }

  /** The peer is no member any more: its link ends, and its machine is dropped. */
  revoke(): void {
    this.admits = false;
    this.run(this.machine.revoke('revoked'));
    this.machine = this.#newMachine();
    this.outbox = [];
  }

  run(actions: readonly PeerAction[]): void {
    for (const action of actions) {
      if (action.do === 'send') this.outbox.push(action);
      else if (action.do === 'trim-link') this.#trim(action.reason, action.attempt);
      else this.#createLink(action.attempt, action.remote);
    }
  }

  #createLink(attempt: number, remote: RemoteEnd | undefined): void {
    const ufrag = remote?.cas.split(':')[6];
    if (this.link !== undefined && attempt > this.link.attempt) {
      if (this.link.remote === undefined) this.link.attempt = attempt;
      else if (this.link.online) {
        this.old = this.link;
        this.link = undefined;
      } else this.close(this.link, 'replaced');
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

  #trim(reason: string, attempt: number | undefined): void {
    for (const link of [this.link, this.old]) {
      if (link !== undefined && (attempt === undefined || link.attempt === attempt)) this.close(link, reason);
    }
  }

  close(link: SimulatedLink, reason: string): void {
    if (link.online) this.bye.push({ attempt: link.attempt, reason });
    this.forget(link);
    this.notices.push(() => this.machine.offline(link.attempt, reason, this.now));
  }

  forget(link: SimulatedLink): void {
    if (this.old === link) this.old = undefined;
    if (this.link !== link) return;
    this.link = this.old;
    this.old = undefined;
  }

  /** tincan says that the link that carries went silent, or is heard again. */
  doubt(suspect: boolean): void {
    const carrying = this.old ?? this.link;
    if (carrying?.online !== true) return;
    this.notices.push(() =>
      suspect ? this.machine.suspect(carrying.attempt, this.now) : this.machine.heardAgain(carrying.attempt),
    );
  }

  receive(message: { type: SignalType; attempt: number; cas: string }, from: SimulatedNode): void {
    if (!this.admits) {
      from.run(from.machine.undelivered(message.attempt, 'refused', this.now));
      return;
    }
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
    this.old = undefined;
    this.notices = [];
    this.machine.tincanRestarted(this.now);
  }

  /** The controller is killed and takes over what tincan holds. */
  crashController(present: boolean): void {
    this.outbox = [];
    this.notices = [];
    this.machine = this.#newMachine();
    // set_cb_endpoint ends what was only begun beside a link.
    if (this.old !== undefined && this.link !== undefined)
      this.close(this.link, 'begun by an earlier controller');
    if (this.link !== undefined) this.run(this.machine.adopt(this.link.attempt, this.link.online, this.now));
    if (present) this.run(this.machine.present(this.now));
  }
}

export class Simulation {
  readonly a: SimulatedNode;
  readonly b: SimulatedNode;
  now = 0;

  constructor({ seed, onDemand = { a: false, b: false } }: SimulationOptions) {
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
    this.a = new SimulatedNode('A', random, onDemand.a);
    this.b = new SimulatedNode('B', random, onDemand.b);
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
    for (const node of [a, b]) this.#deliverBye(node);
    const joined =
      a.link !== undefined &&
      b.link !== undefined &&
      a.link.attempt === b.link.attempt &&
      a.link.remote === b.link.ufrag &&
      b.link.remote === a.link.ufrag;
    this.#endLoneLinks();
    for (const node of [a, b]) {
      const link = node.link;
      if (link === undefined) continue;
      if (joined && !link.online) {
        if (node.old !== undefined) node.close(node.old, 'replaced by a new attempt');
        link.online = true;
        node.notices.push(() => {
          node.machine.online(link.attempt, this.now);
          return [];
        });
      }
    }
    for (const node of [a, b]) this.#deliverBye(node);
  }

  /** An online link whose other end is gone, at whatever place, dies of silence. */
  #endLoneLinks(): void {
    for (const node of [this.a, this.b]) {
      const other = this.other(node);
      for (const link of [node.link, node.old]) {
        if (link?.online !== true) continue;
        const ends = [other.link, other.old];
        if (
          ends.some((end) => end?.online === true && end.ufrag === link.remote && end.remote === link.ufrag)
        )
          continue;
        node.forget(link);
        node.notices.push(() => node.machine.offline(link.attempt, 'nothing heard', this.now));
      }
    }
  }

  #deliverBye(node: SimulatedNode): void {
    const byes = node.bye;
    node.bye = [];
    const other = this.other(node);
    for (const { attempt, reason } of byes) {
      const link = [other.link, other.old].find((each) => each?.online === true && each.attempt === attempt);
      if (link === undefined) continue;
      other.forget(link);
      other.notices.push(() => other.machine.offline(link.attempt, `the peer said: ${reason}`, this.now));
    }
  }

  deliver(from: SimulatedNode, lose: boolean): void {
    const message = from.outbox.shift();
    if (message === undefined) return;
    if (lose) from.run(from.machine.undelivered(message.attempt, 'lost', this.now));
    else this.other(from).receive(message, from);
    this.settleLinks();
  }

  /** Both see each other's presence, and everything is delivered until they are linked, for as long as two nodes may need. */
  calm(): void {
    for (const node of [this.a, this.b]) {
      node.admits = true;
      node.run(node.machine.present(this.now));
    }
    for (let step = 0; step < 2_000 && !this.isOnline(); step++) this.deliverAll(500);
  }

  /** Delivers all that is under way, then lets time pass. */
  deliverAll(ms: number): void {
    for (const node of [this.a, this.b]) {
      while (node.notices.length > 0 || node.outbox.length > 0) {
        node.readNotice();
        this.deliver(node, false);
      }
    }
    this.advance(ms);
  }

  isOnline(): boolean {
    return [this.a, this.b].every(
      (node) => node.link?.online === true && node.machine.state.is === 'online' && node.notices.length === 0,
    );
  }
}
