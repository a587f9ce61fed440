import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Host, Lab, ping } from '../lab/index.ts';
import { IpopSocket, LoneTincan, type Message, PACKET } from './ipop-controller.ts';

// The whole of IPOP's API by hand-written datagrams: two tincans without any controller of ours, and no XMPP.

const PORT = 5800;
const NO_UID = '00'.repeat(20);
const STRANGER_IP = '172.31.0.77';
/** The first ping of a link may fall into its setting up. */
const PATIENCE = { count: 3, intervalMs: 100, patienceMs: 5_000 };

let lab: Lab;
let hosts: [Host, Host];
let tincans: [LoneTincan, LoneTincan];
/** One speaks version 2 to 127.0.0.1, as IPOP 15.01 does, the other version 3 to [::1], as 16.x does. */
let anna: IpopSocket;
let bert: IpopSocket;
/** What the controllers call their nodes: as IPOP's GroupVPN does it, from their addresses. */
const uids = new Map<IpopSocket, string>();
const prints = new Map<IpopSocket, string>();

beforeAll(async () => {
  lab = await Lab.create({ name: 'ipop' });
  hosts = await Promise.all([lab.host('anna'), lab.host('bert')]);
  tincans = await Promise.all([
    LoneTincan.start(lab, hosts[0], ['--api-auth', 'none']),
    LoneTincan.start(lab, hosts[1], ['--api-auth', 'none', '--port', String(PORT + 1)]),
  ]);
  anna = await IpopSocket.open(hosts[0], '127.0.0.1', PORT, 2);
  bert = await IpopSocket.open(hosts[1], '::1', PORT + 1, 3);
  await Promise.all([anna.untilAnswered(), bert.untilAnswered()]);
});

afterAll(async () => {
  await anna?.close();
  await bert?.close();
  await Promise.all((tincans ?? []).map((tincan) => tincan.stop()));
  await lab?.destroy();
});

function uidOf(end: IpopSocket): string {
  return uids.get(end) ?? 'not known yet';
}

function nameOf(ip4: string): string {
  return createHash('sha1').update(ip4).digest('hex');
}

async function localState(end: IpopSocket): Promise<Message> {
  const since = end.received.length;
  end.call({ m: 'get_state', uid: '', stats: true });
  return await end.message({ type: 'local_state' }, since);
}

async function peerState(end: IpopSocket, uid: string): Promise<Message> {
  const since = end.received.length;
  end.call({ m: 'get_state', uid, stats: 1 });
  return await end.message({ type: 'peer_state', uid }, since);
}

test('the command says that the API is open, and each end is answered in the version it speaks', async () => {
  expect(tincans[0].output).toMatch(/every process of this machine/);
  for (const end of [anna, bert]) {
    const since = end.received.length;
    end.call({ m: 'echo_request', msg: 'hello' });
    const { version, type, payload, json } = await end.until(
      // An answer to one of the questions of the beginning may still come.
      ({ json }) => json?.msg === 'hello',
      since,
    );
    expect({ version, type }).toEqual({ version: end.version, type: 1 });
    expect(json).toEqual({ type: 'echo_request', msg: 'hello' });
    // As jsoncpp's toStyledString writes it.
    expect(payload.toString()).toMatch(/^\{\n {3}"type": "echo_request",\n.*\n\}\n$/s);
  }
});

test('before set_local_ip local_state has all its fields, the addresses empty', async () => {
  for (const end of [anna, bert]) {
    const state = await localState(end);
    expect(state).toMatchObject({ type: 'local_state', _ip4: '', _ip6: '' });
    expect(state._uid).toMatch(/^[0-9a-f]{40}$/);
    expect(state._fpr).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    expect(state._mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
    prints.set(end, String(state._fpr));
  }
});

test.each([
  ['not JSON', Buffer.from('{'), { error: 'json parsing failed', code: 'API_NOT_JSON' }],
  ['a field of the wrong type', Buffer.from('{"m":"trim_link","uid":7}'), { m: 'trim_link', field: 'uid' }],
  ['an unknown method without uid', Buffer.from('{"m":"frobnicate"}'), { field: 'm' }],
  ['set_translation without its flag', Buffer.from('{"m":"set_translation"}'), { field: 'translate' }],
  ['set_trimpolicy', Buffer.from('{"m":"set_trimpolicy","trim_enabled":"no"}'), { field: 'trim_enabled' }],
  [
    'an ignore list that is none',
    Buffer.from('{"m":"set_network_ignore_list"}'),
    { field: 'network_ignore_list' },
  ],
  [
    'set_member with a broken address',
    Buffer.from(`{"m":"set_member","uid":"${'ab'.repeat(20)}","ip4":"1.2.3"}`),
    { field: 'ip4' },
  ],
  [
    'set_network_mode',
    Buffer.from('{"m":"set_network_mode","layer":4,"on_demand":true}'),
    { field: 'layer' },
  ],
  [
    'register_svc before set_local_ip',
    Buffer.from('{"m":"register_svc","username":"u@h","password":"p","host":"h"}'),
    { code: 'NOT_READY' },
  ],
])('%s is answered with what is wrong', async (_, payload, expected) => {
  const since = anna.received.length;
  anna.send(1, payload);
  expect(await anna.message({ type: 'error' }, since)).toMatchObject(expected);
});

test.each([
  ['a packet that is too short', 2, Buffer.alloc(50), { code: 'API_PACKET', field: 'frame' }],
  ['an ICC message to nobody', 3, Buffer.alloc(60), { code: 'API_PACKET', field: 'destination' }],
  [
    'an ICC message with another MAC',
    4,
    Buffer.concat([Buffer.alloc(20), Buffer.alloc(40, 1)]),
    { field: 'mac' },
  ],
  ['a type that nobody has', 9, Buffer.from('{}'), { code: 'API_TYPE' }],
])('%s is answered with what is wrong', async (_, type, payload, expected) => {
  const since = bert.received.length;
  bert.send(type, payload);
  expect(await bert.message({ type: 'error' }, since)).toMatchObject(expected);
});

test("IPOP's order of first calls is taken, with no acknowledgement for any", async () => {
  for (const [end, ip4, ip6, cbIp] of [
    [anna, '172.31.0.1', 'fd50:dbc:41f2:4a3c::1', '0.0.0.0'],
    [bert, '172.31.0.2', 'fd50:dbc:41f2:4a3c::2', '::'],
  ] as const) {
    const since = end.received.length;
    end.call({ m: 'set_logging', logging: 2 });
    end.call({ m: 'set_cb_endpoint', ip: cbIp, port: end.port });
    end.call({
      m: 'set_local_ip',
      uid: nameOf(ip4),
      ip4,
      ip6,
      ip4_mask: 24,
      ip6_mask: 64,
      subnet_mask: 32,
      switchmode: 1,
    });
    end.call({ m: 'set_switchmode', switchmode: 1 });
    end.call({ m: 'set_trimpolicy', trim_enabled: false });
    end.call({ m: 'set_translation', translate: 0 });
    end.call({ m: 'set_network_ignore_list', network_ignore_list: ['docker0'] });
    const state = await localState(end);
    uids.set(end, nameOf(ip4));
    expect(state).toMatchObject({
      _uid: nameOf(ip4),
      _ip4: ip4,
      _ip6: ip6,
      interface: 'ipop',
      api_auth: 'none',
    });
    expect(end.received.slice(since).map(({ json }) => json?.type)).toEqual(['local_state']);
  }
});

test('create_link in two steps, its con_resp carried by hand, ends in con_stat online and in pings', async () => {
  anna.call({ m: 'set_remote_ip', uid: uidOf(bert), ip4: '127.0.0.1', ip6: '::1/128' });
  bert.call({ m: 'set_remote_ip', uid: uidOf(anna), ip4: '127.0.0.1', ip6: '::1/128' });
  for (const data of await linkByHand({
    sec: true,
    overlay_id: 0,
    stun: '',
    turn: '',
    turn_user: '',
    turn_pass: '',
  })) {
    const [fpr, ...cas] = data.split(' ');
    expect(fpr).toHaveLength(95);
    // id:component:protocol:ip:port:priority:username:password:type:interface:generation:foundation
    for (const candidate of cas) {
      expect(candidate.replace(/\[[^\]]*\]/, 'ip6').split(':')).toHaveLength(12);
      expect(candidate).toMatch(/^0:1:udp:.*:(local|stun|relay)::0:[^:]+$/);
    }
  }
  expect((await ping(hosts[0], '172.31.0.2', PATIENCE)).received).toBeGreaterThan(0);
  expect((await ping(hosts[0], 'fd50:dbc:41f2:4a3c::2', PATIENCE)).received).toBeGreaterThan(0);
});

test("peer_state has every field of IPOP's, by its names and types", async () => {
  const state = await peerState(anna, uidOf(bert));
  expect(state).toMatchObject({
    type: 'peer_state',
    uid: uidOf(bert),
    status: 'online',
    security: 'dtls',
    xmpp_time: 0,
    ip4: '172.31.0.2',
    ip6: 'fd50:dbc:41f2:4a3c::2',
    fpr: expect.stringMatching(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/),
    last_time: expect.any(Number),
    last_traffic_ms: expect.any(Number),
  });
  expect(state.stats).toEqual([
    {
      local_addr: expect.stringMatching(/:\d+$/),
      rem_addr: expect.stringMatching(/:\d+$/),
      local_type: 'local',
      rem_type: 'local',
      best_conn: true,
      writable: true,
      readable: true,
      timeout: false,
      new_conn: false,
      rtt: expect.any(Number),
      sent_total_bytes: expect.any(Number),
      sent_bytes_second: expect.any(Number),
      recv_total_bytes: expect.any(Number),
      recv_bytes_second: expect.any(Number),
    },
  ]);
});

test('a pass-through message reaches the controller of the other node, as from the node that sent it', async () => {
  anna.call({ m: 'send_msg', overlay_id: 1, uid: uidOf(bert), data: 'destroy ätsch' });
  expect(await bert.message({ type: 'send_msg' })).toEqual({
    type: 'send_msg',
    uid: uidOf(anna),
    data: 'destroy ätsch',
  });
  const since = anna.received.length;
  anna.call({ m: 'con_stat', uid: uidOf(bert), data: 'offline' });
  expect(await anna.message({ type: 'error' }, since)).toMatchObject({ m: 'con_stat', field: 'm' });
  anna.call({ m: 'ping', uid: 'cd'.repeat(20), data: '' });
  expect(await anna.message({ code: 'NOT_LINKED' }, since)).toMatchObject({ m: 'ping', field: 'uid' });
});

test.each([
  ['control', 3],
  ['packet', 4],
])(
  'an ICC %s datagram comes out at the other controller as it went in, with its true source',
  async (_, type) => {
    const since = bert.received.length;
    const body = Buffer.concat([
      Buffer.from([0x00, 0x69, 0x70, 0x6f, 0x70, type]),
      Buffer.alloc(8),
      Buffer.from('{"msg_type":"advertise","peer_list":[]}\0'),
    ]);
    anna.send(type, Buffer.concat([Buffer.from(NO_UID + uidOf(bert), 'hex'), body]));
    const arrived = await bert.until((received) => received.type === type, since);
    expect(arrived.version).toBe(3);
    expect(arrived.payload.toString('hex', 0, 20)).toBe(uidOf(anna));
    expect(arrived.payload.toString('hex', 20, 40)).toBe(uidOf(bert));
    expect(arrived.payload.subarray(40)).toEqual(body);
  },
);

test('frames for a member without a link go to the controller, whole, with the UIDs before them', async () => {
  const stranger = 'ab'.repeat(20);
  anna.call({ m: 'set_remote_ip', uid: stranger, ip4: STRANGER_IP, ip6: 'fd50:dbc:41f2:4a3c::77' });
  const since = anna.received.length;
  const pinging = ping(hosts[0], STRANGER_IP, { count: 1, intervalMs: 100, patienceMs: 1_500 });
  const { payload, version } = await anna.until(({ type }) => type === PACKET, since);
  await pinging;
  expect(version).toBe(2);
  expect(payload.toString('hex', 0, 20)).toBe(uidOf(anna));
  expect(payload.toString('hex', 20, 40)).toBe(stranger);
  // The offsets of ipop.md §1.4, less the two bytes of the header: EtherType 52, IPv4 source 66, destination 70.
  expect(payload.readUInt16BE(52)).toBe(0x0800);
  expect([...payload.subarray(66, 70)]).toEqual([172, 31, 0, 1]);
  expect([...payload.subarray(70, 74)]).toEqual(STRANGER_IP.split('.').map(Number));
  expect(await peerState(anna, stranger)).toMatchObject({ status: 'offline', ip4: STRANGER_IP });
});

test('a frame to a MAC that nobody has goes to the controller with zeros for its destination', async () => {
  const far = { ip: '172.31.0.99', mac: '02:00:00:00:00:99' };
  await hosts[0].run('ip', ['neigh', 'replace', far.ip, 'lladdr', far.mac, 'dev', 'ipop']);
  const since = anna.received.length;
  const pinging = ping(hosts[0], far.ip, { count: 1, intervalMs: 100, patienceMs: 1_000 });
  const isFar = ({ type, payload }: { type: number; payload: Buffer }): boolean =>
    type === PACKET && payload.toString('hex', 40, 46) === far.mac.replaceAll(':', '');
  const { payload } = await anna.until(isFar, since);
  await pinging;
  expect(payload.toString('hex', 20, 40)).toBe(NO_UID);
});

test('a frame from the controller is injected into the TAP device, and the answer to it comes back', async () => {
  const stranger = 'ab'.repeat(20);
  const { _mac } = await localState(anna);
  const mac = Buffer.from(String(_mac).replaceAll(':', ''), 'hex');
  const since = anna.received.length;
  // An ICMP echo request of the stranger's to us: its MAC is the one that follows from its UID.
  const frame = echoRequest(mac, Buffer.from('aaababababab', 'hex'), STRANGER_IP, '172.31.0.1');
  anna.send(PACKET, Buffer.concat([Buffer.alloc(40), frame]));
  const isReply = ({ type, payload }: { type: number; payload: Buffer }): boolean =>
    type === PACKET && payload.readUInt16BE(52) === 0x0800 && payload[40 + 34] === 0;
  const { payload } = await anna.until(isReply, since);
  expect(payload.toString('hex', 20, 40)).toBe(stranger);
  expect(payload.subarray(40 + 42).toString()).toBe('by hand');
});

test('trim_link ends the link on both ends with con_stat offline', async () => {
  // A first attempt at the link may have failed, and told so.
  const since = { anna: anna.received.length, bert: bert.received.length };
  anna.call({ m: 'trim_link', uid: uidOf(bert) });
  await Promise.all([
    anna.message({ type: 'con_stat', uid: uidOf(bert), data: 'offline' }, since.anna),
    bert.message({ type: 'con_stat', uid: uidOf(anna), data: 'offline' }, since.bert),
  ]);
});

test('sec 0 on both ends gives a link whose datagrams are not encrypted', async () => {
  await linkByHand({ sec: 0 });
  expect((await ping(hosts[1], '172.31.0.1', PATIENCE)).received).toBeGreaterThan(0);
  await expect
    .poll(async () => (await peerState(anna, uidOf(bert))).security, { timeout: 15_000 })
    .toBe('none');
});

test('with set_translation each end sees the other at the address of its own set_remote_ip, in layer 3 too', async () => {
  const since = { anna: anna.received.length, bert: bert.received.length };
  anna.call({ m: 'trim_link', uid: uidOf(bert) });
  await anna.message({ type: 'con_stat', data: 'offline' }, since.anna);
  await bert.message({ type: 'con_stat', data: 'offline' }, since.bert);
  for (const [end, other, seenAt] of [
    [anna, bert, '172.31.0.102'],
    [bert, anna, '172.31.0.101'],
  ] as const) {
    end.call({ m: 'set_switchmode', switchmode: 0 });
    end.call({ m: 'set_translation', translate: 1 });
    end.call({ m: 'set_remote_ip', uid: uidOf(other), ip4: seenAt, ip6: 'fd50:dbc:41f2:4a3c::f' });
  }
  await linkByHand({ sec: 1 });
  expect((await ping(hosts[0], '172.31.0.102', PATIENCE)).received).toBeGreaterThan(0);
  expect((await ping(hosts[1], '172.31.0.101', PATIENCE)).received).toBeGreaterThan(0);
  expect(await peerState(anna, uidOf(bert))).toMatchObject({
    status: 'online',
    security: 'dtls',
    ip4: '172.31.0.102',
  });
});

test('SIGTERM ends the command with 0 and takes the interface with it', async () => {
  expect(await tincans[1].stop()).toBe(0);
  expect((await hosts[1].exec('ip', ['link', 'show', 'ipop'])).code).not.toBe(0);
});

test('a machine without IPv6 on loopback runs the API on 127.0.0.1 alone', async () => {
  const host = await lab.host('carl');
  for (const device of ['all', 'lo']) {
    await host.run('sysctl', ['-qw', `net.ipv6.conf.${device}.disable_ipv6=1`]);
  }
  const tincan = await LoneTincan.start(lab, host, ['--api-auth', 'none']);
  const carl = await IpopSocket.open(host, '127.0.0.1', PORT, 2);
  try {
    await carl.untilAnswered();
    carl.call({ m: 'set_local_ip', ip4: '172.31.0.3', ip6: 'fd50:dbc:41f2:4a3c::3' });
    expect(await localState(carl)).toMatchObject({ _ip4: '172.31.0.3', _ip6: '', tap: 'up' });
  } finally {
    await carl.close();
    await tincan.stop();
  }
});

/** Links the two as two controllers would that deliver con_resp to each other; returns what each con_resp said. */
async function linkByHand(more: Message): Promise<[string, string]> {
  for (let tries = 1; ; tries++) {
    const { isOnline, offers } = await tryLink(more);
    if (isOnline) return offers;
    // libdatachannel#1612 (open): one attempt of some hundred fails in DTLS; a controller trims what is left of it and tries again.
    expect(tries).toBeLessThan(3);
    anna.call({ m: 'trim_link', uid: uidOf(bert) });
    bert.call({ m: 'trim_link', uid: uidOf(anna) });
    await Promise.all([localState(anna), localState(bert)]);
  }
}

async function tryLink(more: Message): Promise<{ isOnline: boolean; offers: [string, string] }> {
  const ends = [
    { end: anna, other: bert, since: anna.received.length },
    { end: bert, other: anna, since: bert.received.length },
  ];
  const offers = await Promise.all(
    ends.map(async ({ end, other, since }) => {
      const fpr = prints.get(other) ?? '';
      end.call({ m: 'create_link', uid: uidOf(other), fpr, cas: '', ...more });
      return String((await end.message({ type: 'con_resp', uid: uidOf(other) }, since)).data);
    }),
  );
  const outcomes = await Promise.all(
    ends.map(async ({ end, other, since }, index) => {
      const [fpr = '', ...cas] = (offers[1 - index] ?? '').split(' ');
      end.call({ m: 'create_link', uid: uidOf(other), fpr, cas: cas.join(' '), ...more });
      return (await end.message({ type: 'con_stat', uid: uidOf(other) }, since)).data;
    }),
  );
  const [annas = '', berts = ''] = offers;
  return { isOnline: outcomes.every((outcome) => outcome === 'online'), offers: [annas, berts] };
}

/** RFC 792, with the checksums of RFC 1071. */
function echoRequest(to: Buffer, from: Buffer, source: string, destination: string): Buffer {
  const data = Buffer.from('by hand');
  const icmp = Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 1, 0, 1]), data]);
  icmp.writeUInt16BE(checksum(icmp), 2);
  const ip = Buffer.concat([
    Buffer.from([0x45, 0, 0, 20 + icmp.length, 0, 0, 0, 0, 64, 1, 0, 0]),
    ...[source, destination].map((text) => Buffer.from(text.split('.').map(Number))),
  ]);
  ip.writeUInt16BE(checksum(ip), 10);
  return Buffer.concat([to, from, Buffer.from([8, 0]), ip, icmp]);
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
