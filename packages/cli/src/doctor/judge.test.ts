import type { LinkStatus, StatusReport } from '@kith/protocol';
import { expect, test } from 'vitest';
import { formatFindings, ok, warn } from './finding.ts';
import { judgeClock, judgeMtu, judgeNetwork, judgeOverlap, judgeStatus } from './judge.ts';
import { askByStream, askByUdp, viewOf } from './stun-probe.ts';

test.each([
  ['open', 'open', 'ok'],
  ['same', 'none', 'ok'],
  ['per-destination', 'none', 'warn'],
  ['per-destination', 'open', 'ok'],
  ['silent', 'open', 'warn'],
  ['silent', 'none', 'fail'],
  ['unknown', 'unknown', 'warn'],
] as const)('UDP by IPv4 %s and by IPv6 %s is %s', (ip4, ip6, level) => {
  expect(judgeNetwork({ v: 1, ip4, ip6 }, 'test')[0]?.level).toBe(level);
});

test('an interface that carries less than IPv6 needs fails, with the command that mends it', () => {
  expect(judgeMtu('eth0', 1500).level).toBe('ok');
  expect(judgeMtu('eth0', 1279).advice).toContain('ip link set eth0 mtu');
});

test('a link to a node of another layer is found, with what to do', () => {
  const link: LinkStatus = {
    ...{ name: 'bob@x', uid: 'b', address: null, state: 'online', security: null, why: null, layer: 3 },
    ...{
      carrier: null,
      path: null,
      rtt_ms: null,
      rx_bytes: 0,
      tx_bytes: 0,
      last_heard_ms: null,
      detail: null,
    },
  };
  const report: StatusReport = {
    ...{ schema: 1, network: 'demo', tap: null, members: 1, counters: {}, links: [link] },
    node: { uid: null, jid: 'a@x', ip4: null, mac: null, layer: 2, controller_uptime_ms: 0 },
    hub: { state: 'online', server: 'xmpp://x', since_ms: 0, detail: null, retry_in_ms: null },
    tincan: { running: true, instance: null, detail: null },
  };
  expect(judgeStatus(report)).toMatchObject([
    {
      check: 'layer',
      level: 'warn',
      detail: expect.stringContaining('bob@x runs layer 3, this node layer 2'),
    },
  ]);
  expect(judgeStatus({ ...report, links: [{ ...link, layer: 2 }] })).toEqual([]);
  expect(judgeStatus({ ...report, links: [{ ...link, layer: null }] })).toEqual([]);
});

test('another interface inside the network fails, the network itself does not', () => {
  const range = { address: '172.31.0.5', prefix_length: 24 };
  expect(judgeOverlap('kith-a', range, [{ device: 'kith-a', ip: '172.31.0.5' }]).level).toBe('ok');
  expect(judgeOverlap('kith-a', range, [{ device: 'docker0', ip: '172.31.0.1' }]).level).toBe('fail');
  expect(judgeOverlap('kith-a', range, [{ device: 'eth0', ip: '2001:db8::1' }]).level).toBe('ok');
});

test('fresh credentials that are over already show clocks that disagree', () => {
  expect(judgeClock([1_000, 5_000], 2_000).level).toBe('fail');
  expect(judgeClock([5_000], 2_000).level).toBe('ok');
  expect(judgeClock([], 2_000).level).toBe('ok');
});

test('each finding is one line, what to do stands under it, and nobody moves the cursor', () => {
  expect(formatFindings([ok('hub', 'signed in'), warn('stun', 'no \u001b[2Janswer', 'wait')])).toBe(
    ['ok    hub   signed in', 'warn  stun  no ?[2Janswer', '            wait', ''].join('\n'),
  );
});

test('nobody asked by UDP gives no answer and no class', async () => {
  const nobody = await askByUdp(4, []);
  expect(nobody.asked).toEqual([]);
  expect(viewOf(['192.0.2.1'], nobody, nobody)).toEqual({ v: 1, ip4: 'unknown', ip6: 'none' });
});

test('a server that is not there by TCP is told in words', async () => {
  // Port 1 (tcpmux) of this machine has no listener.
  await expect(askByStream({ host: '127.0.0.1', port: 1, tls: false }, undefined)).rejects.toMatchObject({
    code: 'STREAM_FAILED',
  });
});
