import fc from 'fast-check';
import { expect, test } from 'vitest';
import { networkPrefix, overlayIp6 } from './overlay-ip6.ts';
import { Subnet } from './subnet.ts';

const uid = fc.stringMatching(/^[0-9a-f]{40}$/);

test('a chosen address is a host of the network, always the same one, and the last free one is found', () => {
  const prefix = fc.integer({ min: 24, max: 30 });
  fc.assert(
    fc.property(uid, prefix, fc.nat(), (node, prefix_length, pick) => {
      const subnet = new Subnet({ address: '172.31.4.0', prefix_length });
      const first = subnet.choose(node, () => true);
      expect(first).toBe(subnet.choose(node, () => true));
      expect(subnet.has(first ?? '')).toBe(true);
      const left = `172.31.4.${1 + (pick % subnet.hosts)}`;
      expect(subnet.choose(node, (ip4) => ip4 === left)).toBe(left);
      expect(subnet.choose(node, () => false)).toBeUndefined();
    }),
  );
});

test('the edges of a network and what is no address do not belong to it', () => {
  const subnet = new Subnet({ address: '172.31.0.0', prefix_length: 16 });
  expect(subnet.hosts).toBe(65_534);
  expect(['172.31.0.1', '172.31.255.254'].map((ip4) => subnet.has(ip4))).toEqual([true, true]);
  for (const ip4 of ['172.31.0.0', '172.31.255.255', '172.32.0.1', '', 'x', '172.31.1', '::1']) {
    expect(subnet.has(ip4), ip4).toBe(false);
  }
});

test('chosen addresses spread: a hundred nodes in a /16 seldom meet', () => {
  const subnet = new Subnet({ address: '10.7.0.0', prefix_length: 16 });
  const chosen = Array.from({ length: 100 }, (_, n) =>
    subnet.choose(n.toString(16).padStart(40, '0'), () => true),
  );
  expect(new Set(chosen).size).toBeGreaterThan(97);
});

test('all members of a group compute one unique local prefix, of which every node has one address', () => {
  const net = { kind: 'group' as const, jid: 'alice@vpn.test', group: 'friends' };
  const prefix = networkPrefix(net);
  expect(prefix.length).toBe(8);
  expect(prefix[0]).toBe(0xfd);
  expect(networkPrefix({ ...net, jid: 'bob@vpn.test' })).toEqual(prefix);
  expect(networkPrefix({ ...net, group: 'others' })).not.toEqual(prefix);
  expect(networkPrefix({ ...net, jid: 'alice@else.test' })).not.toEqual(prefix);
  const social = networkPrefix({ ...net, kind: 'social' });
  expect(networkPrefix({ kind: 'social', jid: 'eve@else.test', group: undefined })).toEqual(social);
  // The value is in the wire's memory: other versions compute the same.
  expect(overlayIp6(prefix, 'ab'.repeat(20))).toMatchInlineSnapshot(
    `"fd59:ff24:fe69:d4b2:abab:abab:abab:abab"`,
  );
  expect(overlayIp6(prefix, 'ab'.repeat(20))).toMatch(/^fd[0-9a-f:]+:abab:abab:abab:abab$/);
});
