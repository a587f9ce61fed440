import fc from 'fast-check';
import { expect, test } from 'vitest';
import { classifyUdp, networkView, UDP_CLASSES, type UdpEndpoint } from './network-view.ts';

const own = { ip: '192.168.1.2', port: 4000 };
const outer = { ip: '203.0.113.9', port: 4000 };
const answer = (mapped: UdpEndpoint | null, isOverdue = false) => ({ mapped, isOverdue });

test.each([
  ['no address', { own: [], servers: [], peers: [] }, 'none'],
  ['nobody asked', { own: [own], servers: [], peers: [] }, 'unknown'],
  ['answers not due yet', { own: [own], servers: [answer(null)], peers: [] }, 'unknown'],
  [
    'one of two servers still has time',
    { own: [own], servers: [answer(null, true), answer(null)], peers: [] },
    'unknown',
  ],
  ['nobody answers', { own: [own], servers: [answer(null, true)], peers: [] }, 'silent'],
  [
    'no server answers, but peers do',
    { own: [own], servers: [answer(null, true)], peers: [outer] },
    'unknown',
  ],
  ['the server sees the interface', { own: [own], servers: [answer(own)], peers: [] }, 'open'],
  ['one server sees a NAT', { own: [own], servers: [answer(outer), answer(null, true)], peers: [] }, 'nat'],
  ['two see the same', { own: [own], servers: [answer(outer), answer(outer)], peers: [] }, 'same'],
  [
    'two see different ports',
    { own: [own], servers: [answer(outer), answer({ ...outer, port: 9 })], peers: [] },
    'per-destination',
  ],
  [
    'two see different addresses',
    { own: [own], servers: [answer(outer), answer({ ...outer, ip: '203.0.113.8' })], peers: [] },
    'per-destination',
  ],
  ['a server inside says nothing', { own: [own], servers: [answer(own), answer(outer)], peers: [] }, 'nat'],
  ['a peer confirms', { own: [own], servers: [answer(outer)], peers: [outer] }, 'same'],
  [
    'a peer sees another port',
    { own: [own], servers: [answer(outer)], peers: [{ ...outer, port: 9 }] },
    'per-destination',
  ],
  ['a peer in the same LAN', { own: [own], servers: [answer(outer)], peers: [own] }, 'nat'],
  [
    'a peer behind another NAT',
    { own: [own], servers: [answer(outer)], peers: [{ ip: '100.64.0.2', port: 9 }] },
    'nat',
  ],
] as const)('%s', (_, evidence, expected) => {
  expect(classifyUdp(evidence)).toBe(expected);
});

const endpoint = fc.record({
  ip: fc.constantFrom('192.168.1.2', '203.0.113.8', '203.0.113.9', '10.0.0.1'),
  port: fc.integer({ min: 1, max: 3 }),
});
const evidence = fc.record({
  own: fc.array(endpoint, { maxLength: 2 }),
  servers: fc.array(fc.record({ mapped: fc.option(endpoint), isOverdue: fc.boolean() }), { maxLength: 5 }),
  peers: fc.array(endpoint, { maxLength: 4 }),
});

test('the order in which servers and peers are asked does not matter', () => {
  fc.assert(
    fc.property(evidence, (given) => {
      const reversed = {
        own: given.own.toReversed(),
        servers: given.servers.toReversed(),
        peers: given.peers.toReversed(),
      };
      expect(classifyUdp(reversed)).toBe(classifyUdp(given));
    }),
  );
});

test('once two witnesses disagree, more of them change nothing', () => {
  fc.assert(
    fc.property(evidence, endpoint, (given, more) => {
      fc.pre(classifyUdp(given) === 'per-destination');
      expect(classifyUdp({ ...given, peers: [...given.peers, more] })).toBe('per-destination');
      expect(classifyUdp({ ...given, servers: [...given.servers, { mapped: more, isOverdue: false }] })).toBe(
        'per-destination',
      );
    }),
  );
});

test('peers alone never make a class', () => {
  fc.assert(
    fc.property(fc.array(endpoint), (peers) => {
      expect(classifyUdp({ own: [own], servers: [], peers })).toBe('unknown');
    }),
  );
});

test('a class that we do not know yet is read as unknown, another version not at all', () => {
  expect(networkView.parse({ v: 1, ip4: 'teleported', ip6: 'open' })).toEqual({
    v: 1,
    ip4: 'unknown',
    ip6: 'open',
  });
  expect(networkView.safeParse({ v: 2, ip4: 'open', ip6: 'open' }).success).toBe(false);
});

test('every class survives the way to the other end', () => {
  fc.assert(
    fc.property(fc.constantFrom(...UDP_CLASSES), fc.constantFrom(...UDP_CLASSES), (ip4, ip6) => {
      expect(networkView.parse(JSON.parse(JSON.stringify({ v: 1, ip4, ip6 })))).toEqual({ v: 1, ip4, ip6 });
    }),
  );
});
