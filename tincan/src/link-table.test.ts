import { createLogger } from '@kith/base';
import { fingerprintOf, uidOfFingerprint } from '@kith/protocol';
import { expect, test, vi } from 'vitest';
import { Link } from './link.ts';
import { LinkTable, MAX_LINKS } from './link-table.ts';

// A table needs links, and links would need ICE.
vi.mock('./channel/peer-session.ts', () => ({
  PeerSession: class {
    close(): void {}
  },
  endpointText: () => '',
}));

const fingerprint = fingerprintOf(Buffer.from('ours'));
const uid = uidOfFingerprint(fingerprint);
const identity = { certificatePem: '', keyPem: '', fingerprint, uid, mac: new Uint8Array(6) };

function uidOf(number: number): string {
  return number.toString(16).padStart(40, '0');
}

function linkAt(slot: number, peer: string): Link {
  const ignore = (): void => undefined;
  return new Link(
    slot,
    { identity, ip4: null, ip6: null, direct: undefined, layer: () => 2, isExcluded: () => false },
    {
      uid: peer,
      attempt: 1,
      encrypted: true,
      security: undefined,
      accounts: undefined,
      translation: undefined,
      iceServers: [],
    },
    undefined,
    createLogger('table', 'silent'),
    {
      candidates: ignore,
      online: ignore,
      closed: ignore,
      relayed: ignore,
      suspect: ignore,
      restless: ignore,
      chunk: ignore,
    },
    0,
  );
}

function filled(count: number): { table: LinkTable; links: Link[] } {
  const table = new LinkTable();
  const links = Array.from({ length: count }, (_, number) => {
    const link = linkAt(table.freeSlot(uidOf(number)), uidOf(number));
    table.add(link);
    return link;
  });
  return { table, links };
}

test('links are found by UID and by slot, and no slot is this node itself', () => {
  const { table, links } = filled(MAX_LINKS);
  expect(new Set(links.map(({ slot }) => slot)).size).toBe(MAX_LINKS);
  for (const link of links) {
    expect(link.slot).toBeGreaterThan(0);
    expect(table.get(link.uid)).toBe(link);
    expect(table.bySlot(link.slot)).toBe(link);
  }
});

test('one link more than there may be is refused, until one has gone', () => {
  const { table, links } = filled(MAX_LINKS);
  expect(() => table.freeSlot(uidOf(MAX_LINKS))).toThrow(expect.objectContaining({ code: 'LINK_LIMIT' }));
  const [first] = links;
  if (first !== undefined) table.remove(first);
  expect(table.size).toBe(MAX_LINKS - 1);
  expect(table.freeSlot(uidOf(MAX_LINKS))).toBeGreaterThan(0);
});

test('a slot that was given back is not given out again before many others were', () => {
  const table = new LinkTable();
  const recent: number[] = [];
  for (let number = 0; number < 5 * MAX_LINKS; number++) {
    const link = linkAt(table.freeSlot(uidOf(1)), uidOf(1));
    expect(recent.slice(-MAX_LINKS)).not.toContain(link.slot);
    recent.push(link.slot);
    table.add(link);
    table.remove(link);
  }
});

test('a link that is removed late does not take its successor along', () => {
  const table = new LinkTable();
  const old = linkAt(table.freeSlot(uidOf(1)), uidOf(1));
  table.add(old);
  const next = linkAt(table.freeSlot(uidOf(1)), uidOf(1));
  table.add(next);
  table.remove(old);
  expect(table.get(uidOf(1))).toBe(next);
  expect(table.bySlot(old.slot)).toBeUndefined();
});

test('the successor of an online link stands aside until that is gone', () => {
  const table = new LinkTable();
  const old = linkAt(table.freeSlot(uidOf(1)), uidOf(1));
  table.add(old);
  vi.spyOn(old, 'state', 'get').mockReturnValue('online');
  const next = linkAt(table.freeSlot(uidOf(1)), uidOf(1));
  table.add(next);
  expect(table.get(uidOf(1))).toBe(old);
  expect(table.newest(uidOf(1))).toBe(next);
  expect([...table.all()]).toEqual([old]);
  expect([...table.successors()]).toEqual([next]);
  table.remove(old);
  expect(table.get(uidOf(1))).toBe(next);
  expect([...table.successors()]).toEqual([]);
});

test('a successor that fails leaves the link as it was', () => {
  const table = new LinkTable();
  const old = linkAt(table.freeSlot(uidOf(1)), uidOf(1));
  table.add(old);
  vi.spyOn(old, 'state', 'get').mockReturnValue('online');
  const next = linkAt(table.freeSlot(uidOf(1)), uidOf(1));
  table.add(next);
  table.remove(next);
  expect(table.of(uidOf(1))).toEqual([old]);
  expect(table.newest(uidOf(1))).toBe(old);
});
