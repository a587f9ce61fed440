import { expect, test } from 'vitest';
import { pathText } from './path-text.ts';

const PEER = { ip: '198.51.100.2', port: 5801 };
const HUB = { ip: '2001:db8::1', port: 3478 };

test('a path says whether a relay is between, which, and how that is reached', () => {
  expect(pathText({ ...PEER, isRelayed: false })).toBe('direct 198.51.100.2:5801');
  expect(pathText({ ...PEER, isRelayed: true })).toBe('relay 198.51.100.2:5801');
  expect(pathText({ ...PEER, via: HUB, isRelayed: true })).toBe(
    'relay [2001:db8::1]:3478 to 198.51.100.2:5801',
  );
  const stream = { ip: '127.0.0.1', port: 40_001, name: 'tls hub.test:5349' };
  expect(pathText({ ...PEER, via: stream, isRelayed: true })).toBe(
    'relay to 198.51.100.2:5801 via tls hub.test:5349',
  );
});
