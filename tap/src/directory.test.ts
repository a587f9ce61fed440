import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KIND_IP4, KIND_IP6, KIND_MAC } from './addresses.ts';
import { Directory } from './directory.ts';

/** Few of each, so that they often meet. */
const UIDS = ['a', 'b', 'c', 'd'];
const LINKS = [1, 2, 3];
const macs = [1, 2, 3, 4].map((last) => Uint8Array.of(2, 0, 0, 0, 0, last));
const ip4s = [1, 2, 3].map((last) => Uint8Array.of(172, 31, 0, last));
const ip6s = [1, 2].map((last) => Uint8Array.from([0xfd, ...Array(14).fill(0), last]));

const step = fc.oneof(
  fc.record({
    do: fc.constant('set' as const),
    uid: fc.constantFrom(...UIDS),
    mac: fc.constantFrom(...macs),
    ip4: fc.constantFrom(null, ...ip4s),
    ip6: fc.constantFrom(null, ...ip6s),
  }),
  fc.record({ do: fc.constant('remove' as const), uid: fc.constantFrom(...UIDS) }),
  fc.record({
    do: fc.constant('up' as const),
    link: fc.constantFrom(...LINKS),
    mac: fc.constantFrom(...macs),
    ip4: fc.constantFrom(...ip4s),
  }),
  fc.record({ do: fc.constant('down' as const), link: fc.constantFrom(...LINKS) }),
);

test('under any mix of steps the book says what a list of all members and links says', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const directory = new Directory();
      /** Members and links in the order in which they came, and what they hold. */
      const members = new Map<string, { mac: Uint8Array; ip4: Uint8Array | null; ip6: Uint8Array | null }>();
      const links = new Map<number, { mac: Uint8Array; ip4: Uint8Array }>();
      for (const now of steps) {
        if (now.do === 'set') {
          const { uid, mac, ip4, ip6 } = now;
          const isTaken = [...members].some(([other, has]) => other !== uid && has.mac === mac);
          if (isTaken)
            expect(() => directory.setMember(now)).toThrow(expect.objectContaining({ field: 'mac' }));
          else {
            const old = members.get(uid)?.mac;
            const changed = directory.setMember(now);
            expect(changed).toEqual(old === mac ? undefined : old);
            members.set(uid, { mac, ip4, ip6 });
          }
        } else if (now.do === 'remove') {
          const had = members.has(now.uid);
          expect(directory.removeMember(now.uid)?.uid).toBe(had ? now.uid : undefined);
          members.delete(now.uid);
        } else if (now.do === 'up') {
          const { link, mac, ip4 } = now;
          // As its owner does: a link is bound once, to a MAC that no other link has.
          if (links.has(link) || [...links.values()].some((other) => other.mac === mac)) continue;
          expect(directory.bound(link, KIND_MAC, mac)).toBe(true);
          const isFree = [...links.values()].every((other) => other.ip4 !== ip4);
          expect(directory.bound(link, KIND_IP4, ip4)).toBe(isFree);
          links.set(link, { mac, ip4: isFree ? ip4 : Uint8Array.of(0, 0, 0, link) });
        } else {
          const mac = links.get(now.link)?.mac;
          const member = [...members].find(([, has]) => has.mac === mac)?.[0];
          expect(directory.unbound(now.link)?.uid).toBe(mac === undefined ? undefined : member);
          links.delete(now.link);
        }
        directory.takeGained();

        expect(directory.size).toBe(members.size);
        const linkOf = (mac: Uint8Array): number | undefined =>
          [...links].find(([, has]) => has.mac === mac)?.[0];
        for (const uid of UIDS) {
          const mac = members.get(uid)?.mac;
          expect(directory.linkOfMember(uid)).toBe(mac === undefined ? undefined : linkOf(mac));
        }
        for (const mac of macs) {
          const member = [...members].find(([, has]) => has.mac === mac)?.[0];
          expect(directory.memberOfMac(mac, 0)?.uid).toBe(member);
        }
        for (const link of LINKS) expect(directory.macOfLink(link)).toEqual(links.get(link)?.mac);
        for (const ip4 of ip4s) {
          const bound = [...links.values()].find((link) => link.ip4 === ip4);
          const named = [...members.values()].filter((member) => member.ip4 === ip4).map(({ mac }) => mac);
          const found = directory.neighbour(KIND_IP4, ip4, 0);
          if (bound !== undefined) expect(found?.mac).toEqual(bound.mac);
          else if (named.length === 0) expect(found).toBeUndefined();
          else expect(named).toContainEqual(found?.mac);
          if (found !== undefined) {
            const mac = macs.find((each) => each[5] === found.mac[5]) ?? found.mac;
            expect(found.link).toBe(linkOf(mac));
          }
        }
        for (const ip6 of ip6s) {
          const named = [...members.values()].filter((member) => member.ip6 === ip6).map(({ mac }) => mac);
          const found = directory.neighbour(KIND_IP6, ip6, 0);
          if (named.length === 0) expect(found).toBeUndefined();
          else expect(named).toContainEqual(found?.mac);
        }
      }
    }),
    { numRuns: 500 },
  );
});
