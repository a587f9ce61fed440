import { expect, test } from 'vitest';
import { hostOf, insideProblems } from './outside-network.ts';

const SUBNET = { address: '172.31.0.0', prefix_length: 16 };

test.each([
  ['xmpp://172.31.0.5:5222', '172.31.0.5'],
  ['wss://hub.example.org/ws', 'hub.example.org'],
  ['wss://hub.example.org:8443/ws', 'hub.example.org'],
  ['[2001:db8::1]:3478', '2001:db8::1'],
  ['stun.example.org:3478', 'stun.example.org'],
])('the host of %s is %s', (server, host) => {
  expect(hostOf(server)).toBe(host);
});

test('a server inside the network that it is to make is refused by its key', () => {
  const servers = [
    { path: 'xmpp.server', host: '172.31.200.1' },
    { path: 'ice.stun.0', host: '172.32.0.1' },
    { path: 'ice.turn.0.server', host: 'turn.example.org' },
  ];
  expect(insideProblems(servers, SUBNET)).toEqual([
    {
      path: 'xmpp.server',
      message:
        'is at 172.31.200.1, inside network.subnet 172.31.0.0/16; expected an address outside of the network that it makes',
    },
  ]);
});
