import { parseApiReply } from '@kith/protocol';
import { expect, test } from 'vitest';
import type { SelectedPair } from './channel/peer-session.ts';
import { type LinkReport, peerStateOf } from './peer-state.ts';

const PAIR: SelectedPair = {
  local: '10.0.0.1:4000',
  remote: '10.0.0.2:5000',
  localType: 'local',
  remoteType: 'local',
};
const DIRECT = { ip: '203.0.113.9', port: 6000, datagramBytes: 1400, isRelayed: false, plain: false };
const ONLINE: LinkReport = {
  ...{
    uid: 'ab'.repeat(20),
    attempt: 3,
    fingerprint: 'AB',
    online: true,
    ageMs: 2_500,
    silenceMs: 40,
    rttMs: 0.4,
  },
  ...{
    ip4: '172.31.0.2',
    ip6: null,
    agreed: 'encrypted',
    pair: PAIR,
    direct: null,
    network: null,
    rxBytes: 1_000,
    txBytes: 500,
    idleMs: 70,
  },
  ...{ detail: null, counters: { x: 1 } },
};

test('a link that is not online has neither security nor carrier, and no statistics', () => {
  const state = peerStateOf({ ...ONLINE, online: false, pair: null, silenceMs: null }, true);
  expect(state).toMatchObject({ status: 'offline', state: 'connecting', carrier: null, path: null });
  expect(state).not.toHaveProperty('security');
  expect(state).not.toHaveProperty('stats');
});

test('security is that of the carrier in use: plain was agreed, yet the channel is DTLS', () => {
  const plain = { ...ONLINE, agreed: 'plain' as const };
  expect(peerStateOf(plain, false)).toMatchObject({ agreed: 'plain', security: 'dtls', carrier: 'channel' });
  const direct = { ...DIRECT, plain: true };
  expect(peerStateOf({ ...plain, direct }, false)).toMatchObject({ security: 'none', carrier: 'direct' });
  expect(peerStateOf({ ...ONLINE, direct: DIRECT }, false)).toMatchObject({
    security: 'dtls',
    carrier: 'direct',
  });
});

test.each([
  [{}, 'host 10.0.0.2:5000'],
  [{ remoteType: 'stun' as const }, 'mapped 10.0.0.2:5000'],
  [{ remoteType: 'relay' as const }, 'relay 10.0.0.2:5000'],
  [{ localType: 'relay' as const }, 'relay 10.0.0.1:4000 to 10.0.0.2:5000'],
])('the path of %j is in words: %s', (change, words) => {
  expect(peerStateOf({ ...ONLINE, pair: { ...PAIR, ...change } }, false).path).toBe(words);
});

test('the path of the direct carrier comes before that of the channel', () => {
  expect(peerStateOf({ ...ONLINE, direct: DIRECT }, false).path).toBe('direct 203.0.113.9:6000');
});

test('a relayed path of the direct carrier is called a relay, by whose server it may be', () => {
  const theirs = { ...DIRECT, isRelayed: true };
  expect(peerStateOf({ ...ONLINE, direct: theirs }, false)).toMatchObject({
    carrier: 'direct',
    path: 'relay 203.0.113.9:6000',
  });
  const ours = { ...theirs, via: { ip: '198.51.100.1', port: 3478 } };
  expect(peerStateOf({ ...ONLINE, direct: ours }, false).path).toBe(
    'relay 198.51.100.1:3478 to 203.0.113.9:6000',
  );
});

test('with statistics it is what the reader of replies reads', () => {
  const state = peerStateOf(ONLINE, true);
  expect(parseApiReply(Buffer.from(JSON.stringify(state)))).toEqual(state);
  expect(state.stats?.[0]).toMatchObject({
    sent_total_bytes: 500,
    sent_bytes_second: 200,
    recv_bytes_second: 400,
  });
});

test('a link is relayed by what carries it now: the pair of the channel, or the direct path', () => {
  const relayedPair = { ...PAIR, remoteType: 'relay' } as const;
  expect(peerStateOf(ONLINE, false).relayed).toBe(false);
  expect(peerStateOf({ ...ONLINE, pair: relayedPair }, false).relayed).toBe(true);
  expect(peerStateOf({ ...ONLINE, pair: relayedPair, direct: DIRECT }, false).relayed).toBe(false);
  expect(peerStateOf({ ...ONLINE, direct: { ...DIRECT, isRelayed: true } }, false).relayed).toBe(true);
});

test('what the peer says of its network is told as it is', () => {
  const network = { v: 1, ip4: 'same', ip6: 'none' } as const;
  expect(peerStateOf({ ...ONLINE, network }, false).network).toEqual(network);
});
