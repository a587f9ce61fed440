import type { LinkStatus, StatusReport } from '@kith/protocol';
import { expect, test } from 'vitest';
import { formatEvents, formatStatus } from './status-text.ts';

const LINK: LinkStatus = {
  name: 'bob@vpn.test',
  uid: 'b'.repeat(40),
  address: '172.31.0.2',
  state: 'online',
  security: 'encrypted',
  why: 'this node encrypts always',
  carrier: 'channel',
  path: 'channel host 10.0.0.2:40000',
  rtt_ms: 0.42,
  rx_bytes: 1_572_864,
  tx_bytes: 900,
  last_heard_ms: 12,
  detail: null,
};

const REPORT: StatusReport = {
  schema: 1,
  network: 'demo',
  node: {
    uid: 'a'.repeat(40),
    jid: 'alice@vpn.test',
    ip4: '172.31.0.1/24',
    mac: '02:00:00:00:00:01',
    controller_uptime_ms: 65_000,
  },
  hub: {
    state: 'online',
    server: 'xmpps://hub.test:5223',
    since_ms: 64_000,
    detail: null,
    retry_in_ms: null,
  },
  tincan: { running: true, instance: 'a1', detail: null },
  tap: { name: 'kith-demo', state: 'up', mtu: 1360, rx_frames: 12, tx_frames: 10, dropped: 1 },
  members: 1,
  links: [LINK],
  counters: {},
};

test('prints node, hub, TAP and links', () => {
  const carol: LinkStatus = {
    ...LINK,
    name: 'carol@long-domain.vpn.test',
    uid: 'c'.repeat(40),
    address: null,
    state: 'connecting',
    security: null,
    why: null,
    carrier: null,
    path: null,
    rtt_ms: null,
    rx_bytes: 0,
    tx_bytes: 0,
    last_heard_ms: null,
  };
  expect(formatStatus({ ...REPORT, links: [LINK, carol] })).toBe(
    [
      'network demo, alice@vpn.test, 172.31.0.1/24, node aaaaaaaa',
      'hub online for 1 min 4 s (xmpps://hub.test:5223)',
      'tap kith-demo up, mtu 1360, 12 frames in, 10 out, 1 dropped',
      '',
      'NAME                        ADDRESS     STATE       SECURITY   PATH                             RTT       RX     TX',
      'bob@vpn.test                172.31.0.2  online      encrypted  channel host 10.0.0.2:40000  0.42 ms  1.5 MiB  900 B',
      'carol@long-domain.vpn.test  -           connecting  -          -                                  -      0 B    0 B',
      '',
    ].join('\n'),
  );
});

test('says what needs attention last', () => {
  const report: StatusReport = {
    ...REPORT,
    hub: { ...REPORT.hub, state: 'waiting', detail: 'connection refused', retry_in_ms: 3000 },
    links: [
      { ...LINK, security: 'plain', why: 'no common security group' },
      {
        ...LINK,
        uid: 'd'.repeat(40),
        state: 'refused',
        security: null,
        why: 'no common security group, and this node refuses such links',
      },
      { ...LINK, name: 'eve@vpn.test', state: 'refused', detail: 'fingerprint changed' },
    ],
  };
  const text = formatStatus(report);
  expect(text).toContain('hub waiting for 1 min 4 s (xmpps://hub.test:5223), next try in 3 s\n');
  expect(text.slice(text.indexOf('warning'))).toBe(
    [
      'warning: the hub is not reached: connection refused; links that are up stay up',
      'warning: bob@vpn.test (bbbbbbbb): the link is not encrypted (no common security group)',
      'warning: bob@vpn.test (dddddddd): the link is refused (no common security group, and this node refuses such links)',
      'warning: eve@vpn.test: fingerprint changed',
      '',
    ].join('\n'),
  );
});

test('says when there is nobody, and when tincan does not run', () => {
  expect(formatStatus({ ...REPORT, links: [] })).toContain('\nno links: no other member node is online\n');
  expect(formatStatus({ ...REPORT, links: [], members: 0 })).toContain('is this account in the roster group');
  const refused = { ...REPORT.hub, state: 'refused' as const };
  expect(formatStatus({ ...REPORT, links: [], members: null, hub: refused })).toContain(
    'has not been reached yet',
  );
  const dead = formatStatus({
    ...REPORT,
    links: [],
    tap: null,
    tincan: { running: false, instance: null, detail: 'no answer' },
  });
  expect(dead).toContain('tap not known, tincan does not answer\n');
  expect(dead).toContain('warning: tincan does not run or does not answer: no answer\n');
  expect(dead).not.toContain('no links');
});

test('a tincan that runs and has a warning of its own says so', () => {
  const detail = 'every process of this machine may make links (api.auth: none)';
  const open: StatusReport = { ...REPORT, tincan: { running: true, instance: 'a1', detail } };
  expect(formatStatus(open)).toContain(detail);
  expect(formatStatus(REPORT)).not.toContain('api.auth');
});

test('what peers and servers say cannot steer the terminal', () => {
  const text = formatStatus({
    ...REPORT,
    hub: { ...REPORT.hub, state: 'refused', detail: 'bad\u001b[2Jpassword\nwarning: forged' },
    links: [{ ...LINK, name: 'b\u001b]0;x\u0007b@vpn.test', detail: 'a\rb\u202ec' }],
  });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  expect(text).not.toContain('\nwarning: forged');
});

test('what needs a person to decide is said, and strict is named in the first line', () => {
  const waiting = {
    ...LINK,
    uid: 'c'.repeat(40),
    state: 'refused' as const,
    trust: 'new' as const,
    detail: 'is new',
  };
  const trust = { mode: 'strict' as const, pinned: 1, verified: 1, waiting: 7, detail: 'disk full' };
  const text = formatStatus({ ...REPORT, links: [LINK, waiting], trust });
  expect(text.split('\n')[0]).toMatch(/, trust strict$/);
  expect(text).toContain('warning: bob@vpn.test (cccccccc): is new\n');
  expect(text).toContain('warning: what is pinned is not kept beyond a restart: disk full\n');
  expect(text).toContain('warning: 6 more new nodes wait: kith trust list\n');
  const calm = formatStatus({
    ...REPORT,
    links: [LINK],
    trust: { ...trust, mode: 'first-use', waiting: 0, detail: null },
  });
  expect(calm).not.toContain('trust');
});

test('a link that is not direct says why under its row; one that nobody asks for does not', () => {
  const relayed = {
    ...LINK,
    path: 'relay 203.0.113.1:50000',
    why_path: 'relayed: both NATs map ports per destination',
  };
  const idle: LinkStatus = {
    ...LINK,
    name: 'carol@vpn.test',
    state: 'idle',
    why_path: 'not connected: no packet',
  };
  const lines = formatStatus({ ...REPORT, links: [relayed, idle] }).split('\n');
  const row = lines.findIndex((line) => line.startsWith('bob@vpn.test'));
  expect(lines[row + 1]).toBe('  relayed: both NATs map ports per destination');
  expect(lines[row + 2]).toMatch(/^carol@vpn\.test/);
  expect(lines[row + 3]).toBe('');
});

test('the story of a link is told with ages, oldest first, in one line each', () => {
  const events = [
    { ago_ms: 65_000, what: 'attempt 1 begins' },
    { ago_ms: 2_000, what: 'attempt 1 failed: the peer said: \u001b[31mbye' },
  ];
  const why_path = 'not connected: ICE or DTLS failed';
  expect(formatEvents([{ ...LINK, state: 'connecting', carrier: null, path: null, why_path, events }])).toBe(
    [
      'bob@vpn.test (node bbbbbbbb): connecting',
      '  not connected: ICE or DTLS failed',
      '  1 min 5 s ago  attempt 1 begins',
      '        2 s ago  attempt 1 failed: the peer said: ?[31mbye',
      '',
    ].join('\n'),
  );
});

test('a link to which nothing has happened yet has that for its story', () => {
  expect(formatEvents([{ ...LINK, events: [] }])).toContain('nothing has happened yet');
});
