import { ApiEnvelope, type ApiReply, type ConResp, type ConStat, type LocalState } from '@kith/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab, ping } from '../lab/index.ts';
import { TincanProcess } from './tincan-process.ts';

const FINGERPRINT = Array(32).fill('AB').join(':');
const UID = 'ab'.repeat(20);

let lab: Lab;
let a: TincanProcess;
let b: TincanProcess;
/** Number of the last attempt at the link between them. */
let attempt = 0;

beforeAll(async () => {
  lab = await Lab.create({ name: 'api' });
  [a, b] = await Promise.all([
    TincanProcess.start(lab, await lab.host('anna')),
    TincanProcess.start(lab, await lab.host('bert')),
  ]);
});

afterAll(async () => {
  await lab?.destroy();
});

async function localState(tincan: TincanProcess): Promise<LocalState> {
  const state = await tincan.call('get_state');
  if (state.type !== 'local_state') throw new Error(`get_state answered ${state.type}`);
  return state;
}

test.each([['a string'], [42], [-1.5], ['']])('the reply repeats the id %j', async (id) => {
  a.sendCall({ m: 'echo_request', id, msg: 'hello' });
  expect(await a.until((reply) => 'id' in reply && reply.id === id)).toEqual({
    type: 'echo_request',
    id,
    msg: 'hello',
  });
});

test.each([
  ['set_cb_endpoint', { ip: '::', port: 5999 }],
  ['set_cb_endpoint', { ip: '127.0.0.1', port: 5999 }],
  ['set_local_ip', { ip4: '172.31.0.1', ip4_mask: 24, switchmode: 1 }],
  ['set_logging', { logging: 2 }],
  ['set_switchmode', { switchmode: 1 }],
  ['set_network_mode', { layer: 2, on_demand: false }],
  ['set_translation', { translate: 0 }],
  ['set_trimpolicy', { trim_enabled: 1 }],
  ['set_network_ignore_list', { network_ignore_list: [] }],
  ['set_member', { uid: UID, ip4: '172.31.0.50', ip6: null }],
  ['set_remote_ip', { uid: UID, ip4: '172.31.0.51', ip6: '' }],
  ['remove_member', { uid: UID }],
  ['trim_link', { uid: UID }],
])('%s %j is acknowledged when it has an id, and only then', async (m, parameters) => {
  expect(await a.call(m, parameters)).toMatchObject({ type: 'ok', m });
  const before = a.received.length;
  a.sendCall({ m, ...parameters });
  // Calls are answered in their order, so an acknowledgement would come before this one's reply.
  await localState(a);
  expect(a.received.slice(before).map(({ type }) => type)).toEqual(['local_state']);
});

test('a datagram of a type that is not served is refused', async () => {
  const before = a.received.length;
  a.send(a.seal(Buffer.from('{"m":"set_logging","id":1,"logging":0}'), 5));
  const reply = await a.until((given) => a.received.indexOf(given) >= before);
  expect(reply).toMatchObject({ type: 'error', code: 'API_TYPE' });
});

test.each([
  ['create_link', { uid: 'zz' }, 'uid'],
  ['create_link', { uid: 7 }, 'uid'],
  ['create_link', {}, 'uid'],
  ['create_link', { uid: UID, fpr: 'AB:CD' }, 'fpr'],
  ['create_link', { uid: UID, fpr: FINGERPRINT, cas: 'nonsense' }, 'cas'],
  ['create_link', { uid: UID, fpr: FINGERPRINT, sec: 'yes' }, 'sec'],
  ['create_link', { uid: UID, fpr: FINGERPRINT, attempt: 0 }, 'attempt'],
  [
    'create_link',
    { uid: UID, fpr: FINGERPRINT, ice_servers: [{ type: 'stun', host: 'h', port: 0 }] },
    'ice_servers.0.port',
  ],
  ['create_link', { uid: UID, fpr: FINGERPRINT, stun: 'no-port' }, 'stun'],
  ['create_link', { uid: '00'.repeat(20), fpr: FINGERPRINT }, 'uid'],
  ['set_cb_endpoint', { ip: '127.0.0.1' }, 'port'],
  ['set_cb_endpoint', { ip: '127.0.0.1', port: 70_000 }, 'port'],
  ['set_cb_endpoint', { ip: '203.0.113.9', port: 5000 }, 'ip'],
  ['set_local_ip', { ip4: '172.31.0' }, 'ip4'],
  ['set_local_ip', { ip4: '172.31.0.1', ip4_mask: 33 }, 'ip4_mask'],
  ['set_local_ip', { uid: UID }, 'uid'],
  ['set_remote_ip', { uid: UID, ip4: '172.31.2' }, 'ip4'],
  ['set_member', { uid: UID, ip6: 'fd00::1::' }, 'ip6'],
  ['remove_member', { uid: 'x' }, 'uid'],
  ['set_network_mode', { layer: 1, on_demand: true }, 'layer'],
  ['create_link', { uid: UID, translation: { remote_ip4: '1.2.3' } }, 'translation.remote_ip4'],
  ['trim_link', { uid: 'x' }, 'uid'],
  ['get_state', { uid: 'x' }, 'uid'],
  ['get_state', { stats: 'yes' }, 'stats'],
  ['set_logging', { logging: 9 }, 'logging'],
  ['set_switchmode', { switchmode: 'on' }, 'switchmode'],
  ['send_msg', { uid: UID, data: 'to a node without a link' }, 'uid'],
  ['local_state', { uid: UID, data: 'what only tincan says' }, 'm'],
  ['register_svc', { username: 'u@h', password: 'p', host: 'h' }, 'm'],
  ['echo_request', { msg: {} }, 'msg'],
  ['no_such_method', {}, 'm'],
])('%s %j is answered with an error that names %s', async (m, parameters, field) => {
  await a.call('set_local_ip', { ip4: '172.31.0.1' });
  const reply = await a.call(m, parameters);
  expect(reply).toMatchObject({ type: 'error', m, field });
});

test.each([
  ['nonsense', 'json parsing failed'],
  ['', 'json parsing failed'],
  ['[]', 'a call is a JSON object with the field m'],
  ['null', 'a call is a JSON object with the field m'],
  ['{"m":7}', 'm must name the method'],
  ['{"m":"echo_request","id":[1]}', 'id must be a number or a string'],
])('%j is answered with %j', async (text, message) => {
  const before = a.received.length;
  a.send(a.seal(Buffer.from(text)));
  const isNew = (reply: ApiReply) => a.received.indexOf(reply) >= before;
  expect(await a.until(isNew)).toMatchObject({ type: 'error', error: expect.stringContaining(message) });
});

test('what does not prove the secret is never answered, changes nothing, and is counted', async () => {
  const before = await a.counters();
  const received = a.received.length;
  const call = Buffer.from('{"m":"set_logging","id":"forged","logging":0}');
  const sealed = a.seal(call);
  const stranger = new ApiEnvelope(Buffer.alloc(32, 1), 'call', 0n);
  const flipped = Buffer.from(sealed);
  flipped[20] = (flipped[20] ?? 0) ^ 1;
  const forgeries = [
    Buffer.concat([Buffer.of(2, 1), call]),
    Buffer.concat([Buffer.of(3, 1), call]),
    stranger.seal(1, call, process.hrtime.bigint()),
    flipped,
    sealed.subarray(0, sealed.length - 1),
    sealed.subarray(0, 10),
    Buffer.alloc(0),
  ];
  for (const forgery of forgeries) a.send(forgery);
  // Datagrams keep their order on loopback, so an answer to one of them would come before this one's.
  const after = await a.counters();
  expect(a.received.length).toBe(received + 1);
  expect(after.api_dropped_unproved).toBe((before.api_dropped_unproved ?? 0) + forgeries.length);
});

test('a captured datagram does nothing the second time, nor after a restart of tincan', async () => {
  const before = await b.counters();
  const captured = b.seal(Buffer.from('{"m":"echo_request","id":"captured","msg":"x"}'));
  const answers = () => b.received.filter((reply) => 'id' in reply && reply.id === 'captured').length;
  b.send(captured);
  await b.until(() => answers() === 1);
  b.send(captured);
  expect((await b.counters()).api_dropped_replayed).toBe((before.api_dropped_replayed ?? 0) + 1);
  await b.restart();
  // A question whether it is there may have been asked before it was, and counts as one of its earlier life too.
  const restarted = await b.counters();
  b.send(captured);
  expect((await b.counters()).api_dropped_replayed).toBe((restarted.api_dropped_replayed ?? 0) + 1);
  expect(answers()).toBe(1);
});

test('two tincans are linked by hand in two steps, and simultaneous starts in a row give 100 links', async () => {
  const ends = [a, b] as const;
  const other = (end: TincanProcess) => (end === a ? b : a);
  const states = new Map<TincanProcess, LocalState>();
  for (const [end, ip4] of [
    [a, '172.31.0.1'],
    [b, '172.31.0.2'],
  ] as const) {
    expect(await end.call('set_cb_endpoint', { ip: '::', port: end.port })).toMatchObject({ type: 'ok' });
    expect(await end.call('set_local_ip', { ip4, ip4_mask: 24 })).toMatchObject({ type: 'ok' });
    states.set(end, await localState(end));
  }
  const stateOf = (end: TincanProcess): LocalState => {
    const state = states.get(end);
    if (state === undefined) throw new Error('no state');
    return state;
  };
  for (let links = 0; links < 100; ) {
    attempt++;
    // First step: both begin in the same instant, without knowing anything of each other but the UID.
    await Promise.all(ends.map((end) => end.call('create_link', { uid: stateOf(other(end))._uid, attempt })));
    // Second step: each gets all that the other gathered.
    await Promise.all(
      ends.map(async (end) => {
        const isMine = (reply: ApiReply): reply is ConResp =>
          reply.type === 'con_resp' && reply.attempt === attempt && reply.complete;
        const { data } = await end.until(isMine);
        const [fpr = '', ...cas] = data.split(' ');
        expect(fpr).toBe(stateOf(end)._fpr);
        const { _uid } = stateOf(end);
        const reply = await other(end).call('create_link', { uid: _uid, fpr, cas: cas.join(' '), attempt });
        // An attempt that has failed by now is over, which is told below.
        if (reply.type !== 'error') expect(reply).toMatchObject({ type: 'ok' });
      }),
    );
    const outcomes = await Promise.all(
      ends.map((end) =>
        end.until((reply): reply is ConStat => reply.type === 'con_stat' && reply.attempt === attempt),
      ),
    );
    // libdatachannel#1612 (open): when the peer's checks arrive in the middle of setRemoteDescription, DTLS may begin before the
    // fingerprint is there and fail. One of a hundred attempts does on a busy machine; a controller follows it with the next.
    if (outcomes.every(({ data }) => data === 'online')) links++;
    expect(attempt).toBeLessThan(150);
  }
  expect(
    (await ping(a.host, '172.31.0.2', { count: 5, intervalMs: 100, patienceMs: 3_000 })).received,
  ).toBeGreaterThan(0);
  expect((await a.counters()).links_opened).toBe(attempt);
});

test("a message for the peer's controller goes through the link, acknowledged and with its sender's UID", async () => {
  const [mine, theirs] = [(await localState(a))._uid, (await localState(b))._uid];
  expect(await a.call('con_ack', { uid: theirs, data: '{"con_type":"chord"}' })).toMatchObject({
    type: 'ok',
    m: 'con_ack',
  });
  expect(await b.until((reply) => reply.type === 'peer_message')).toEqual({
    type: 'peer_message',
    uid: mine,
    m: 'con_ack',
    data: '{"con_type":"chord"}',
  });
});

test('get_state names the peer with what was measured, and trim_link ends the link on both ends', async () => {
  const { _uid } = await localState(b);
  const before = a.received.length;
  a.sendCall({ m: 'get_state', id: 'stats', uid: _uid, stats: true });
  const state = await a.until((reply) => reply.type === 'peer_state' && a.received.indexOf(reply) >= before);
  expect(state).toMatchObject({
    id: 'stats',
    uid: _uid,
    status: 'online',
    security: 'dtls',
    ip4: '172.31.0.2',
    attempt,
  });
  expect(state).toMatchObject({
    stats: [{ local_type: 'local', rem_type: 'local', writable: true, readable: true }],
  });
  expect(await a.call('trim_link', { uid: _uid, reason: 'enough' })).toMatchObject({ type: 'ok' });
  const isEnd = (reply: ApiReply) =>
    reply.type === 'con_stat' && reply.data === 'offline' && reply.attempt === attempt;
  await Promise.all([a.until(isEnd), b.until(isEnd)]);
});

test('a frame for a member without a link waits: link_wanted tells the controller, and the first ping gets through', async () => {
  const states = { a: await localState(a), b: await localState(b) };
  expect(await a.call('set_network_mode', { layer: 2, on_demand: true })).toMatchObject({ type: 'ok' });
  expect(await a.call('set_member', { uid: states.b._uid, ip4: '172.31.0.2' })).toMatchObject({ type: 'ok' });
  const pinging = ping(a.host, '172.31.0.2', { count: 1, intervalMs: 100, patienceMs: 9_000 });
  expect(await a.until((reply) => reply.type === 'link_wanted')).toEqual({
    type: 'link_wanted',
    uid: states.b._uid,
  });
  await joinByHand(states.a, states.b);
  expect((await pinging).received).toBe(1);
  const { held_frames } = await a.counters();
  expect(held_frames).toBe(0);
  expect(await a.call('trim_link', { uid: states.b._uid })).toMatchObject({ type: 'ok' });
  expect(await a.call('remove_member', { uid: states.b._uid })).toMatchObject({ type: 'ok' });
  expect(await a.call('set_network_mode', { layer: 2, on_demand: false })).toMatchObject({ type: 'ok' });
});

test('with translation two nodes of one address see each other at addresses of their own choice', async () => {
  for (const end of [a, b]) {
    expect(await end.call('set_local_ip', { ip4: '172.31.9.100', ip4_mask: 24 })).toMatchObject({
      type: 'ok',
    });
  }
  const states = { a: await localState(a), b: await localState(b) };
  const views = { remote_ip4: '172.31.9.100', local_ip4: '172.31.9.100' };
  await joinByHand(states.a, states.b, {
    a: { ...views, mapped_ip4: '172.31.9.101' },
    b: { ...views, mapped_ip4: '172.31.9.150' },
  });
  const patience = { count: 3, intervalMs: 100, patienceMs: 5_000 };
  expect((await ping(a.host, '172.31.9.101', patience)).received).toBeGreaterThan(0);
  expect((await ping(b.host, '172.31.9.150', patience)).received).toBeGreaterThan(0);
});

/** Links the two; libdatachannel#1612, as above, may cost an attempt. */
async function joinByHand(...how: Parameters<typeof tryByHand>): Promise<void> {
  for (let tries = 1; ; tries++) {
    attempt++;
    if ((await tryByHand(...how)).every((outcome) => outcome === 'online')) return;
    expect(tries).toBeLessThan(3);
  }
}

/** One attempt in one step each: the candidates of both are gathered first. Returns what both say of it. */
async function tryByHand(
  stateA: LocalState,
  stateB: LocalState,
  translation?: { a: object; b: object },
): Promise<string[]> {
  const sides = [
    { end: a, peer: stateB._uid, more: translation === undefined ? {} : { translation: translation.a } },
    { end: b, peer: stateA._uid, more: translation === undefined ? {} : { translation: translation.b } },
  ];
  const offers = await Promise.all(
    sides.map(async ({ end, peer, more }) => {
      expect(await end.call('create_link', { uid: peer, attempt, ...more })).toMatchObject({ type: 'ok' });
      const isMine = (reply: ApiReply): reply is ConResp =>
        reply.type === 'con_resp' && reply.attempt === attempt && reply.complete;
      return (await end.until(isMine)).data;
    }),
  );
  return await Promise.all(
    sides.map(async ({ end, peer, more }, index) => {
      const [fpr = '', ...cas] = (offers[1 - index] ?? '').split(' ');
      await end.call('create_link', { uid: peer, fpr, cas: cas.join(' '), attempt, ...more });
      const isOutcome = (reply: ApiReply): reply is ConStat =>
        reply.type === 'con_stat' && reply.attempt === attempt;
      return (await end.until(isOutcome)).data;
    }),
  );
}
