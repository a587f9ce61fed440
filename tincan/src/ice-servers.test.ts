import type { IceServer } from '@kith/protocol';
import { expect, test } from 'vitest';
import { iceServersFor } from './ice-servers.ts';

const stun4: IceServer = { type: 'stun', host: '203.0.113.1', port: 3478 };
const stun6: IceServer = { type: 'stun', host: '2001:db8::1', port: 3478 };
const turn4: IceServer = { ...stun4, type: 'turn', username: 'u', password: 'p' };
const turn6: IceServer = { ...stun6, type: 'turn', username: 'u', password: 'p' };
const tls: IceServer = { ...turn4, host: 'hub.example.org', transport: 'tls' };
const all = [stun6, turn6, stun4, turn4, tls];

test('where both families work, IPv4 comes first', () => {
  const network = { v: 1, ip4: 'nat', ip6: 'open' } as const;
  expect(iceServersFor(all, network)).toEqual([stun4, turn4, tls, stun6, turn6]);
});

test.each(['none', 'silent'] as const)('a family that is %s wastes no server', (ip4) => {
  expect(iceServersFor(all, { v: 1, ip4, ip6: 'open' })).toEqual([tls, stun6, turn6]);
});

test('where nobody knows yet, all stay', () => {
  expect(iceServersFor(all, undefined)).toEqual(all);
});

test('where no server is left, the best of a bad choice are all', () => {
  expect(iceServersFor([stun4, turn4], { v: 1, ip4: 'silent', ip6: 'none' })).toEqual([stun4, turn4]);
});
