import type { Uid } from '@kith/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AddressClaims, type Claim } from './address-claims.ts';
import { Subnet } from './subnet.ts';

const SUBNET = new Subnet({ address: '10.0.0.0', prefix_length: 28 });
const uidOf = (n: number): Uid => n.toString(16).padStart(2, '0').repeat(20);

interface Setup {
  kind: 'static' | 'auto';
  /** Last byte of a static or held address; undefined: none held. */
  last: number | undefined;
}

/** Nodes that tell each other their claims through a network that delivers in any order, each sender's own words in sequence. */
class World {
  readonly nodes: { uid: Uid; claims: AddressClaims; kind: 'static' | 'auto' }[] = [];
  readonly wires = new Map<string, Claim[]>();
  now = 0;

  join({ kind, last }: Setup): void {
    const uid = uidOf(this.nodes.length * 7 + 3);
    const claim = { ip4: last === undefined ? null : `10.0.0.${last}`, kind };
    const claims = new AddressClaims(uid, SUBNET, claim);
    const index = this.nodes.push({ uid, claims, kind }) - 1;
    // Presence of those who are there comes in answer to ours.
    for (const [other, node] of this.nodes.entries()) {
      if (other !== index) this.#wire(other, index).push(node.claims.own);
    }
    this.say(index);
  }

  say(from: number): void {
    const node = this.nodes[from];
    for (const to of this.nodes.keys()) {
      if (to !== from && node !== undefined) this.#wire(from, to).push(node.claims.own);
    }
  }

  restart(index: number): void {
    const node = this.nodes[index];
    if (node === undefined) return;
    node.claims = new AddressClaims(node.uid, SUBNET, node.claims.own);
    for (const [other, peer] of this.nodes.entries()) {
      if (other !== index) this.wires.set(`${other} ${index}`, [peer.claims.own]);
    }
    this.say(index);
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

  /** All that is under way arrives, and all pauses pass; gives the number of messages that it took. */
  calm(): number {
    let messages = 0;
    for (let round = 0; round < 40; round++) {
      for (const index of this.nodes.keys()) this.settle(index);
      while (messages < 100_000 && this.deliver(0)) messages++;
      this.now += 61_000;
      for (const index of this.nodes.keys()) this.review(index);
    }
    return messages;
  }

  #wire(from: number, to: number): Claim[] {
    const key = `${from} ${to}`;
    const wire = this.wires.get(key) ?? [];
    this.wires.set(key, wire);
    return wire;
  }
}

const setup = fc.record({
  kind: fc.constantFrom('static' as const, 'auto' as const, 'auto' as const),
  last: fc.option(fc.integer({ min: 1, max: 14 }), { nil: undefined }),
});
const step = fc.record({
  what: fc.constantFrom('join', 'deliver', 'deliver', 'deliver', 'settle', 'restart', 'wait'),
  pick: fc.nat(1000),
});

test('whatever arrives in whatever order: in the end every address has one owner, all nodes agree on it, and no automatic node is without', () => {
  fc.assert(
    fc.property(
      fc.array(setup, { minLength: 2, maxLength: 12 }),
      fc.array(step, { maxLength: 80 }),
      (setups, steps) => {
        const world = new World();
        const waiting = [...setups];
        const join = () => {
          const next = waiting.shift();
          if (next !== undefined)
            world.join({ ...next, last: next.kind === 'static' ? (next.last ?? 1) : next.last });
        };
        for (const { what, pick } of steps) {
          if (what === 'join') join();
          else if (what === 'deliver') world.deliver(pick);
          else if (what === 'settle') world.settle(pick % Math.max(1, world.nodes.length));
          else if (what === 'restart') world.restart(pick % Math.max(1, world.nodes.length));
          else world.now += 1_500;
          // Never, not even on the way, does a node think that an address has two owners.
          for (const { claims } of world.nodes) {
            const owned = world.nodes.map(({ uid }) => claims.addressOf(uid)).filter((ip4) => ip4 !== null);
            expect(new Set(owned).size).toBe(owned.length);
          }
        }
        while (waiting.length > 0) join();
        expect(world.calm()).toBeLessThan(100_000);
        const views = world.nodes.map(({ claims }) => world.nodes.map(({ uid }) => claims.addressOf(uid)));
        for (const view of views) expect(view).toEqual(views[0]);
        for (const [index, { uid, kind, claims }] of world.nodes.entries()) {
          if (kind === 'auto') expect(views[0]?.[index]).toBe(claims.own.ip4);
          expect(claims.isHomeless).toBe(views[0]?.[index] === null);
          const better = claims.rivalsOf(uid).filter((rival) => rival < uid);
          if (kind === 'static') expect(claims.isHomeless).toBe(better.length > 0);
        }
        // Restarted all at once, each comes back to what it had.
        for (const index of world.nodes.keys()) world.restart(index);
        world.calm();
        expect(world.nodes.map(({ uid, claims }) => claims.addressOf(uid))).toEqual(views[0]);
      },
    ),
    { numRuns: 300 },
  );
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
