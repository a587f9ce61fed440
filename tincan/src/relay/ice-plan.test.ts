import type { IceServer } from '@kith/protocol';
import { expect, test } from 'vitest';
import { planIce } from './ice-plan.ts';

const hub = { username: 'u', password: 'p', host: 'hub.test' };
const udp: IceServer = { type: 'turn', port: 3478, transport: 'udp', ...hub };
const tcp: IceServer = { type: 'turn', port: 3478, transport: 'tcp', ...hub };
const tls: IceServer = { type: 'turn', port: 5349, transport: 'tls', ...hub };
const other: IceServer = { ...tls, host: 'other.test', username: 'somebody' };
const stun: IceServer = { type: 'stun', host: 'hub.test', port: 3478 };
const unranked = () => 0;

test('a hub that offers all three gives one relay by UDP and one by streams', () => {
  expect(planIce([stun, udp, tcp, tls], unranked)).toEqual({
    udp: [udp],
    stream: {
      servers: [
        { host: 'hub.test', port: 3478, transport: 'tcp' },
        { host: 'hub.test', port: 5349, transport: 'tls' },
      ],
      username: 'u',
      password: 'p',
    },
  });
});

test('without streams two servers are asked by UDP, and without a transport UDP is meant', () => {
  const { transport: _, ...plain } = udp;
  expect(planIce([plain, { ...udp, host: 'b' }, { ...udp, host: 'c' }], unranked)).toEqual({
    udp: [plain, { ...udp, host: 'b' }],
    stream: undefined,
  });
});

test('servers with other credentials do not race in one group', () => {
  expect(planIce([other, tls, tcp], unranked).stream?.servers).toEqual([
    { host: 'other.test', port: 5349, transport: 'tls' },
  ]);
});

test('the server that answered last time goes first, its group before others', () => {
  const rank = (server: string) => (server === 'tls hub.test:5349' ? 0 : 1);
  expect(planIce([other, tcp, tls], rank).stream?.servers).toEqual([
    { host: 'hub.test', port: 5349, transport: 'tls' },
    { host: 'hub.test', port: 3478, transport: 'tcp' },
  ]);
});
