import { expect, test } from 'vitest';
import { type NetworkEvidence, ownNetwork } from './own-network.ts';

const evidence: NetworkEvidence = {
  family: 'dual',
  local: ['192.168.1.2', '2001:db8::2'],
  port: 4000,
  servers: [
    { server: { ip: '203.0.113.1', port: 3478 }, mapped: { ip: '203.0.113.9', port: 9 }, isOverdue: false },
    {
      server: { ip: '2001:db8::1', port: 3478 },
      mapped: { ip: '2001:db8::2', port: 4000 },
      isOverdue: false,
    },
  ],
  peers: [{ ip: '203.0.113.9', port: 10 }],
};

test('each family is judged by what concerns it', () => {
  expect(ownNetwork(evidence)).toEqual({ v: 1, ip4: 'per-destination', ip6: 'open' });
});

test('a family that the socket has not is none', () => {
  expect(ownNetwork({ ...evidence, family: 4 })).toEqual({ v: 1, ip4: 'per-destination', ip6: 'none' });
});
