import type { Uid } from '@kith/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AddressClaims, type Claim } from './address-claims.ts';
import { Subnet } from './subnet.ts';
import type { Tenure } from './tenure.ts';

const SUBNET = new Subnet({ address: '10.0.0.0', prefix_length: 28 });
const uidOf = (n: number): Uid => n.toString(16).padStart(2, '0').repeat(20);

interface Setup {
  kind: 'static' | 'auto';
  /** Last byte of a static or held address; undefined: none held. */
  last: number | undefined;
}

/** What one node remembers, over its restarts. */
class Memory implements Tenure {
  readonly self: string;
  readonly pinned = new Set<Uid>();
  readonly verified = new Set<Uid>();
  readonly #held = new Map<Uid, { ip4: string; since: string }>();

  constructor(self: Uid) {
    this.self = `of ${self}`;
  }

  memberOf(uid: Uid): string | undefined {
    return this.pinned.has(uid) ? `of ${uid}` : undefined;
  }

  isVerified(uid: Uid): boolean {
    return this.verified.has(uid);
  }

  heldSince(uid: Uid, ip4: string): string | undefined {
    const held = this.#held.get(uid);
    return held?.ip4 === ip4 ? held.since : undefined;
  }

  holders(ip4: string): Uid[] {
    return [...this.#held].flatMap(([uid, held]) => (held.ip4 === ip4 ? [uid] : []));
  }

  addresses(): string[] {
    return [...this.#held.values()].map(({ ip4 }) => ip4);
  }

  hold(uid: Uid, ip4: string): void {
    // The clock stands still: who was first has to follow from what was held, not from when.
    if (this.pinned.has(uid)) this.#held.set(uid, { ip4, since: '2026-01-01T00:00:00.000Z' });
  }

  giveUp(uid: Uid): void {
    this.#held.delete(uid);
  }

  all(): [Uid, string][] {
    return [...this.#held].map(([uid, { ip4 }]) => [uid, ip4]);
  }
}

interface Node {
  readonly uid: Uid;
  claims: AddressClaims;
  readonly memory: Memory;
  readonly kind: 'static' | 'auto';
  isThere: boolean;
}

/** Nodes that tell each other their claims through a network that delivers in any order, each sender's own words in sequence. */
class World {
  readonly nodes: Node[] = [];
  readonly wires = new Map<string, Claim[]>();
  now = 0;

  join({ kind, last }: Setup): void {
    // Not in the order in which they come: newcomers with smaller UIDs are what holding is for.
    const uid = uidOf((this.nodes.length * 101 + 3) % 251);
    const claim = { ip4: last === undefined ? null : `10.0.0.${last}`, kind };
    const memory = new Memory(uid);
    const claims = new AddressClaims(uid, SUBNET, claim, new Set(), memory);
    this.#greet(this.nodes.push({ uid, claims, memory, kind, isThere: true }) - 1);
  }

  /** Presence of those who are there comes in answer to ours. */
  #greet(index: number): void {
    for (const [other, node] of this.nodes.entries()) {
      if (other !== index && node.isThere) this.wires.set(`${other} ${index}`, [node.claims.own]);
    }
    this.say(index);
  }

  say(from: number): void {
    const node = this.nodes[from];
    if (node?.isThere !== true) return;
    for (const [to, { isThere }] of this.nodes.entries()) {
      if (to !== from && isThere) this.#wire(from, to).push(node.claims.own);
    }
  }

  restart(index: number): void {
    const node = this.nodes[index];
    if (node === undefined) return;
    const { uid, memory, claims } = node;
    node.claims = new AddressClaims(uid, SUBNET, claims.own, new Set(), memory, claims.ownSince);
    node.isThere = true;
    this.#greet(index);
  }

  /** The node goes, and everybody has noticed. */
  leave(index: number): void {
    const node = this.nodes[index];
    if (node === undefined) return;
    node.isThere = false;
    for (const [other, { claims }] of this.nodes.entries()) {
      claims.forget(node.uid);
      this.wires.delete(`${index} ${other}`);
      this.wires.delete(`${other} ${index}`);
    }
  }

  /** All who are there prove their keys to a node. */
  meet(index: number): void {
    const node = this.nodes[index];
    if (node?.isThere !== true) return;
    for (const peer of this.nodes) if (peer !== node && peer.isThere) node.memory.pinned.add(peer.uid);
  }

  /** A person compares the key of a node that was met. */
  verify(index: number, other: number): void {
    const [node, peer] = [this.nodes[index], this.nodes[other]];
    if (node !== undefined && peer !== undefined && node.memory.pinned.has(peer.uid)) {
      node.memory.verified.add(peer.uid);
    }
  }

  keep(index: number): void {
    const node = this.nodes[index];
    if (node?.isThere === true) node.claims.keep(new Date(0));
  }

  /** What goes with a link's signals: that an address is kept for one who is away. */
  signal(from: number, to: number): void {
    const [node, peer] = [this.nodes[from], this.nodes[to]];
    if (node?.isThere !== true || peer?.isThere !== true || node === peer) return;
    const claim = node.claims.claimOf(peer.uid);
    if (typeof claim?.ip4 !== 'string' || claim.kind !== 'auto' || !node.claims.isKeptFrom(peer.uid)) return;
    peer.claims.refuse(claim.ip4);
    this.review(to);
  }

  settle(index: number): void {
    if (this.nodes[index]?.claims.settle(this.now) === true) this.say(index);
  }

  /** Delivers one message of the wire that the number picks. False: nothing was under way. */
  deliver(pick: number): boolean {
    const busy = [...this.wires].filter(([, queue]) => queue.length > 0);
    const chosen = busy[pick % Math.max(1, busy.length)];
    if (chosen === undefined) return false;
    const [from = 0, to = 0] = chosen[0].split(' ').map(Number);
    const claim = chosen[1].shift();
    const receiver = this.nodes[to];
    const sender = this.nodes[from];
    if (claim === undefined || receiver === undefined || sender === undefined) return false;
    receiver.claims.heard(sender.uid, claim);
    this.review(to);
    return true;
  }

  review(index: number): void {
    if (this.nodes[index]?.claims.review(this.now) === true) this.say(index);
  }

  /** All that is under way arrives, all meet, and all pauses pass; gives the number of messages that it took. */
  calm(): number {
    let messages = 0;
    for (let round = 0; round < 40; round++) {
      for (const index of this.nodes.keys()) this.settle(index);
      while (messages < 100_000 && this.deliver(0)) messages++;
      this.now += 61_000;
      for (const index of this.nodes.keys()) {
        this.review(index);
        for (const to of this.nodes.keys()) this.signal(index, to);
      }
    }
    return messages;
  }

  /** What each node that is there thinks that each has. */
  views(): (string | null)[][] {
    return this.#there().map(({ claims }) => this.nodes.map(({ uid }) => claims.addressOf(uid)));
  }

  #there(): Node[] {
    return this.nodes.filter(({ isThere }) => isThere);
  }

  #wire(from: number, to: number): Claim[] {
    const key = `${from} ${to}`;
    const wire = this.wires.get(key) ?? [];
    this.wires.set(key, wire);
    return wire;
  }
}

const setup = fc.record({
  kind: fc.constantFrom('static' as const, 'auto' as const),
  // Few enough that nodes meet at one, and at those that automatic nodes choose.
  last: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
});
const step = fc.record({
  what: fc.constantFrom(
    ...['join', 'join', 'deliver', 'deliver', 'deliver', 'deliver-all', 'settle', 'restart', 'wait'],
    ...['leave', 'meet', 'keep', 'signal', 'verify', 'know', 'know'],
  ),
  pick: fc.nat(1000),
  other: fc.nat(1000),
});

/** Never, not even on the way, does a node think that an address has two owners, or give away what somebody else holds. */
function expectSound(world: World, heldBefore: ReadonlyMap<string, string>): void {
  for (const { uid: me, claims, memory, isThere } of world.nodes) {
    if (!isThere) continue;
    const owned = world.nodes.map(({ uid }) => claims.addressOf(uid)).filter((ip4) => ip4 !== null);
    expect(new Set(owned).size).toBe(owned.length);
    for (const { uid } of world.nodes) {
      const ip4 = heldBefore.get(`${me} ${uid}`);
      // It has said that it is elsewhere.
      if (ip4 === undefined || memory.heldSince(uid, ip4) === undefined) continue;
      const owner = claims.owner(ip4);
      // Only a node that a person has compared comes before one that was there first.
      if (owner !== undefined && owner !== uid && owner !== me) expect(memory.isVerified(owner)).toBe(true);
    }
  }
}

/** Who holds which address at whom. */
function heldNow(world: World): Map<string, string> {
  const held = new Map<string, string>();
  for (const { uid: me, memory } of world.nodes) {
    for (const [uid, ip4] of memory.all()) held.set(`${me} ${uid}`, ip4);
  }
  return held;
}

test('whatever arrives in whatever order: every address has one owner at each node, who holds one keeps it, and no automatic node is without', () => {
  fc.assert(
    fc.property(
      fc.array(setup, { minLength: 2, maxLength: 8 }),
      fc.array(step, { minLength: 20, maxLength: 60 }),
      (setups, steps) => {
        const world = new World();
        const waiting = [...setups];
        const join = () => {
          const next = waiting.shift();
          if (next !== undefined)
            world.join({ ...next, last: next.kind === 'static' ? (next.last ?? 1) : next.last });
        };
        for (const { what, pick, other } of steps) {
          const count = Math.max(1, world.nodes.length);
          const [one, two] = [pick % count, other % count];
          const held = heldNow(world);
          if (what === 'join') join();
          else if (what === 'deliver') world.deliver(pick);
          else if (what === 'settle') world.settle(one);
          else if (what === 'restart') world.restart(one);
          else if (what === 'leave') world.leave(one);
          else if (what === 'meet') world.meet(one);
          else if (what === 'verify') world.verify(one, two);
          else if (what === 'keep') world.keep(one);
          else if (what === 'deliver-all') while (world.deliver(pick));
          else if (what === 'know') {
            while (world.deliver(pick));
            world.meet(one);
            world.keep(one);
          } else if (what === 'signal') world.signal(one, two);
          else world.now += 1_500;
          expectSound(world, held);
        }
        while (waiting.length > 0) join();
        expect(world.calm()).toBeLessThan(100_000);
        const there = world.nodes.filter(({ isThere }) => isThere);
        const views = world.views();
        for (const [index, { kind, isThere, claims }] of world.nodes.entries()) {
          if (!isThere || kind === 'static') continue;
          // What an automatic node has, all give to it.
          expect(claims.own.ip4).not.toBeNull();
          expect(claims.isHomeless).toBe(false);
          for (const view of views) expect(view[index]).toBe(claims.own.ip4);
        }
        for (const { uid, kind, claims: theirs } of there) {
          const { ip4 } = theirs.own;
          const rivals = world.nodes.filter((each) => each.uid !== uid && each.claims.own.ip4 === ip4);
          if (kind === 'auto' || ip4 === null || rivals.length > 0) continue;
          // A static claim that nobody contests is honoured by all.
          for (const { claims } of there) expect(claims.addressOf(uid)).toBe(ip4);
        }
        // Restarted all at once, each comes back to what it had.
        for (const [index, { isThere }] of world.nodes.entries()) if (isThere) world.restart(index);
        world.calm();
        expect(world.views()).toEqual(views);
      },
    ),
    { numRuns: 300 },
  );
});

const [OLD, NEW, THIRD] = [uidOf(200), uidOf(1), uidOf(100)];
const X: Claim = { ip4: '10.0.0.5', kind: 'static' };

/** A third node that has known OLD by the address. */
function witness(): { claims: AddressClaims; memory: Memory } {
  const memory = new Memory(THIRD);
  const claims = new AddressClaims(THIRD, SUBNET, { ip4: '10.0.0.9', kind: 'static' }, new Set(), memory);
  for (const uid of [OLD, NEW]) memory.pinned.add(uid);
  claims.heard(OLD, X);
  claims.keep(new Date(0));
  return { claims, memory };
}

test('a key with a smaller UID takes no static address from one who was known by it before, whether he is there or away', () => {
  const { claims, memory } = witness();
  claims.heard(NEW, X);
  expect([claims.addressOf(OLD), claims.addressOf(NEW)]).toEqual([X.ip4, null]);
  expect([claims.isKeptFrom(NEW), claims.isKeptFrom(OLD)]).toEqual([true, false]);
  claims.forget(OLD);
  expect([claims.owner('10.0.0.5'), claims.addressOf(NEW), claims.isAway(OLD)]).toEqual([OLD, null, true]);
  // Nor by another word for it.
  claims.heard(NEW, { ...X, kind: 'auto' });
  expect(claims.addressOf(NEW)).toBeNull();
  // Nor does the newcomer come to hold it by staying.
  claims.keep(new Date(1));
  expect(memory.heldSince(NEW, '10.0.0.5')).toBeUndefined();
  const restarted = new AddressClaims(THIRD, SUBNET, { ip4: '10.0.0.9', kind: 'static' }, new Set(), memory);
  restarted.heard(NEW, X);
  expect(restarted.addressOf(NEW)).toBeNull();
  expect(restarted.counters.address_claims_refused).toBe(1);
});

test('who says that he is elsewhere gives the address up', () => {
  const { claims } = witness();
  claims.heard(OLD, { ip4: '10.0.0.6', kind: 'static' });
  claims.heard(NEW, X);
  expect([claims.addressOf(OLD), claims.addressOf(NEW)]).toEqual(['10.0.0.6', X.ip4]);
});

test('a node whose key a person has compared comes before one that was there first', () => {
  const { claims, memory } = witness();
  memory.verified.add(NEW);
  claims.heard(NEW, X);
  expect([claims.addressOf(OLD), claims.addressOf(NEW)]).toEqual([null, X.ip4]);
  memory.verified.add(OLD);
  expect([claims.addressOf(OLD), claims.addressOf(NEW)]).toEqual([X.ip4, null]);
});

test('a machine that is away gives way to another one of the same member', () => {
  const { claims, memory } = witness();
  claims.forget(OLD);
  memory.memberOf = () => 'bob@x.test';
  claims.heard(NEW, X);
  expect(claims.addressOf(NEW)).toBe(X.ip4);
});

test('nobody holds an address that two claim, and nobody who never proved himself', () => {
  const memory = new Memory(THIRD);
  const claims = new AddressClaims(THIRD, SUBNET, { ip4: '10.0.0.9', kind: 'static' }, new Set(), memory);
  claims.heard(OLD, X);
  claims.keep(new Date(0));
  expect(memory.heldSince(OLD, '10.0.0.5')).toBeUndefined();
  memory.pinned.add(OLD);
  claims.heard(NEW, X);
  claims.keep(new Date(0));
  expect([OLD, NEW].map((uid) => memory.heldSince(uid, '10.0.0.5'))).toEqual([undefined, undefined]);
  expect(claims.addressOf(NEW)).toBe(X.ip4);
  claims.forget(NEW);
  claims.keep(new Date(0));
  expect(memory.heldSince(OLD, '10.0.0.5')).toBeDefined();
});

test('this node holds its own static address once it was alone with it, and over restarts', () => {
  const own: Claim = { ip4: '10.0.0.5', kind: 'static' };
  const claims = new AddressClaims(OLD, SUBNET, own);
  expect(claims.keep(new Date(0))).toBe(true);
  expect(claims.keep(new Date(1))).toBe(false);
  claims.heard(NEW, own);
  expect([claims.addressOf(OLD), claims.addressOf(NEW), claims.isHomeless]).toEqual([X.ip4, null, false]);
  const restarted = new AddressClaims(OLD, SUBNET, own, new Set(), undefined, claims.ownSince);
  restarted.heard(NEW, own);
  expect(restarted.addressOf(NEW)).toBeNull();
  const contested = new AddressClaims(OLD, SUBNET, own);
  contested.heard(NEW, own);
  expect(contested.keep(new Date(0))).toBe(false);
  expect(contested.isHomeless).toBe(true);
});

test('an automatic node leaves an address that another one keeps for a third, and is not chased through the whole subnet', () => {
  const claims = new AddressClaims(NEW, SUBNET, { ip4: '10.0.0.5', kind: 'auto' });
  claims.refuse('10.0.0.6');
  expect(claims.review(0)).toBe(false);
  claims.refuse('10.0.0.5');
  expect(claims.review(0)).toBe(true);
  expect(claims.own.ip4).not.toBe('10.0.0.5');
  let moves = 0;
  for (let now = 0; now < 60_000; now += 100) {
    claims.refuse(claims.own.ip4 ?? '');
    if (claims.review(now)) moves++;
  }
  expect(moves).toBeLessThan(12);
  expect(claims.own.ip4).not.toBeNull();
});

test('an automatic node keeps quiet until it has heard the others, and takes none of theirs', () => {
  const alone = new AddressClaims(uidOf(9), SUBNET, { ip4: null, kind: 'auto' });
  expect(alone.own.ip4).toBeNull();
  expect(alone.settle(0)).toBe(true);
  const wished = alone.own.ip4 ?? '';
  const late = new AddressClaims(uidOf(9), SUBNET, { ip4: null, kind: 'auto' });
  late.heard(uidOf(200), { ip4: wished, kind: 'auto' });
  expect(late.settle(0)).toBe(true);
  expect(late.own.ip4).not.toBe(wished);
});

test('two static nodes with one address: both know it, the smaller UID has it, the other has nothing', () => {
  const claims = [1, 2].map((n) => new AddressClaims(uidOf(n), SUBNET, { ip4: '10.0.0.5', kind: 'static' }));
  const [first, second] = claims;
  first?.heard(uidOf(2), { ip4: '10.0.0.5', kind: 'static' });
  second?.heard(uidOf(1), { ip4: '10.0.0.5', kind: 'static' });
  expect(first?.rivalsOf(uidOf(1))).toEqual([uidOf(2)]);
  expect(second?.rivalsOf(uidOf(2))).toEqual([uidOf(1)]);
  for (const each of claims) {
    expect(each.addressOf(uidOf(1))).toBe('10.0.0.5');
    expect(each.addressOf(uidOf(2))).toBeNull();
    expect(each.review(1e9)).toBe(false);
  }
  expect([first?.isHomeless, second?.isHomeless]).toEqual([false, true]);
});

test('who chases a node from address to address gets it to move ever more slowly', () => {
  const claims = new AddressClaims(uidOf(9), SUBNET, { ip4: '10.0.0.5', kind: 'auto' });
  let moves = 0;
  for (let now = 0; now < 60_000; now += 100) {
    claims.heard(uidOf(1), claims.own);
    if (claims.review(now)) moves++;
  }
  expect(moves).toBeGreaterThan(3);
  expect(moves).toBeLessThan(12);
});

test('an address outside the network is none, and a full network leaves the last comer without', () => {
  const claims = new AddressClaims(uidOf(9), new Subnet({ address: '10.0.0.0', prefix_length: 30 }), {
    ip4: null,
    kind: 'auto',
  });
  claims.heard(uidOf(1), { ip4: '8.8.8.8', kind: 'static' });
  expect(claims.addressOf(uidOf(1))).toBeNull();
  claims.heard(uidOf(1), { ip4: '10.0.0.1', kind: 'static' });
  claims.heard(uidOf(2), { ip4: '10.0.0.2', kind: 'auto' });
  expect(claims.settle(0)).toBe(false);
  expect(claims.isHomeless).toBe(true);
  claims.forget(uidOf(2));
  expect(claims.review(0)).toBe(true);
  expect(claims.own.ip4).toBe('10.0.0.2');
});
