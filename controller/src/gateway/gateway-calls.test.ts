import { API_TYPE_PACKET } from '@kith/protocol';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { BERT, CALLBACK_PORT, FORMS, GatewayRig, ME, REGISTER } from './gateway.test.helper.ts';

let rig: GatewayRig;

beforeEach(() => {
  rig = new GatewayRig();
});

test('before register_svc calls go to tincan as they came, and every answer back', () => {
  const calls: Record<string, object> = {
    create_link: { uid: BERT, overlay_id: 1 },
    trim_link: { uid: BERT },
    set_remote_ip: { uid: BERT },
    get_path_events: { uid: BERT },
    set_logging: { logging: 1 },
    set_switchmode: { switchmode: 1 },
    set_translation: { translate: 1 },
    set_trimpolicy: { trim_enabled: 0 },
    set_network_ignore_list: { network_ignore_list: [] },
    set_member: { uid: BERT },
    remove_member: { uid: BERT },
    set_network_mode: { layer: 2, on_demand: false },
    set_mapped_address: { mapped: null },
    set_local_ip: { uid: '' },
    echo_request: {},
    echo_reply: {},
    send_msg: {},
  };
  for (const form of FORMS) {
    for (const [m, fields] of Object.entries(calls)) {
      rig = new GatewayRig(form);
      const payload = Buffer.from(JSON.stringify({ uid: BERT, ...fields, m, unknown: [1] }));
      rig.gateway.fromClient(rig.client, 1, payload, rig.now);
      expect(rig.sent, m).toMatchObject([{ to: 'tincan', type: 1, payload }]);
    }
    const reply = Buffer.from('anything at all');
    rig.gateway.fromTincan(rig.client, 1, reply, rig.now);
    expect(rig.sent.at(-1)).toMatchObject({ to: rig.client, type: 1, payload: reply });
  }
});

test('packets and ICC messages pass in both directions untouched', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 255 }), fc.uint8Array({ maxLength: 99 }), (type, bytes) => {
      rig = GatewayRig.signedIn();
      rig.gateway.fromClient(rig.client, type, bytes, rig.now);
      rig.gateway.fromTincan(rig.client, type, bytes, rig.now);
      rig.gateway.notified(type, bytes, rig.now);
      const payload = Buffer.from(bytes);
      expect(rig.sent).toMatchObject([
        { to: 'tincan', type, payload },
        { to: rig.client, type, payload },
        { to: { port: 6_000 }, type, payload },
      ]);
    }),
  );
});

test('tincan sends its notifications to the gateway, which has them for the endpoint that the caller named', () => {
  for (const [ip, address] of [
    ['::', '127.0.0.1'],
    ['0.0.0.0', '127.0.0.1'],
    ['::1', '::1'],
  ]) {
    rig = new GatewayRig();
    rig.gateway.notified(1, Buffer.from('{"type":"con_stat"}'), rig.now);
    expect(rig.sent).toEqual([]);
    rig.call({ m: 'set_cb_endpoint', ip, port: 6_000, id: 3 });
    expect(rig.toTincan).toEqual([{ m: 'set_cb_endpoint', ip: '127.0.0.1', port: CALLBACK_PORT, id: 3 }]);
    rig.gateway.notified(1, Buffer.from('{"type":"con_stat"}'), rig.now);
    expect(rig.sent.at(-1)).toMatchObject({ to: { address, port: 6_000, form: 2 } });
  }
});

test('an endpoint elsewhere than on loopback is for tincan to refuse, and the one before stays', () => {
  rig = GatewayRig.signedIn();
  const bad = { m: 'set_cb_endpoint', ip: '203.0.113.9', port: 9 };
  rig.call(bad);
  expect(rig.toTincan).toEqual([bad]);
  rig.gateway.notified(API_TYPE_PACKET, Buffer.from('x'), rig.now);
  expect(rig.sent.at(-1)).toMatchObject({ to: { port: 6_000 } });
});

test('what may hold a password never reaches tincan, right or wrong', () => {
  for (const message of [
    { ...REGISTER, username: 7 },
    { ...REGISTER, password: '' },
    { ...REGISTER, port: 'x' },
    REGISTER,
  ])
    rig.call(message);
  rig.gateway.fromClient(rig.client, 1, Buffer.from('{"m":"register_svc","password":"secret"'), rig.now);
  expect(JSON.stringify(rig.toTincan)).not.toContain('secret');
  expect(rig.toTincan).toMatchObject([{ m: 'get_state', uid: '0'.repeat(40) }]);
  expect(rig.toCallers).toMatchObject([
    { type: 'error', m: 'register_svc', code: 'API_FIELD', field: 'username' },
    { type: 'error', m: 'register_svc', code: 'API_FIELD', field: 'password' },
    { type: 'error', m: 'register_svc', code: 'API_FIELD', field: 'port' },
    { type: 'error', code: 'API_NOT_JSON' },
  ]);
});

test("register_svc signs in under the name that the caller's form has for this node", () => {
  rig.call({ ...REGISTER, id: 'a' });
  rig.answerState({ _uid: BERT });
  expect(rig.accounts).toMatchObject([
    { jid: 'anna@vpn.test', password: 'secret', server: 'xmpp://vpn.test:5222', resource: `tincan${BERT}` },
  ]);
  expect(rig.toCallers).toEqual([]);
  rig.gateway.hubState({ state: 'online', detail: null }, rig.now);
  expect(rig.toCallers).toEqual([{ type: 'ok', id: 'a', m: 'register_svc' }]);
});

test('without id a success has no acknowledgement, and register_svc again changes nothing', () => {
  rig = GatewayRig.signedIn();
  rig.call(REGISTER);
  rig.answerState();
  expect(rig.toCallers).toEqual([]);
  expect(rig.accounts).toHaveLength(1);
  rig.call({ ...REGISTER, password: 'new', id: 1 });
  rig.answerState();
  expect(rig.accounts).toHaveLength(2);
});

test('register_svc before set_local_ip, for no account, or with a tincan that is silent is an error of its name', () => {
  rig.call({ ...REGISTER, id: 1 });
  rig.answerState({ tap: 'down' });
  rig.call({ ...REGISTER, username: '@', id: 2 });
  rig.answerState();
  rig.call({ ...REGISTER, id: 3 });
  rig.gateway.tick(rig.now + 1_000);
  expect(rig.toCallers).toMatchObject([
    { id: 1, m: 'register_svc', code: 'NOT_READY' },
    { id: 2, m: 'register_svc', code: 'XMPP_JID' },
    { id: 3, m: 'register_svc', code: 'TINCAN_SILENT' },
  ]);
  expect(rig.gateway.isWaiting).toBe(false);
});

test('a hub that is not reached, and one that refuses, are told to the caller and to the callback endpoint', () => {
  rig.call({ m: 'set_cb_endpoint', ip: '::', port: 6_000 });
  rig.call(REGISTER);
  rig.answerState();
  rig.gateway.hubState({ state: 'connecting', detail: null }, rig.now);
  rig.gateway.hubState({ state: 'refused', detail: 'XMPP_REFUSED: wrong password' }, rig.now);
  expect(rig.toCallers).toMatchObject([
    { type: 'error', m: 'register_svc', code: 'XMPP_REFUSED', error: 'wrong password' },
    { type: 'xmpp_state', state: 'refused', detail: 'XMPP_REFUSED: wrong password' },
  ]);
});

test("a tincan's own message that comes as a call is not answered in IPOP's form", () => {
  rig.call({ type: 'error', error: 'x' });
  expect(rig.sent).toEqual([]);
  rig = new GatewayRig(4);
  rig.call({ type: 'error', error: 'x' });
  expect(rig.toCallers).toMatchObject([{ code: 'API_IS_REPLY' }]);
});

test("without register_svc get_state is tincan's, with the gateway's counters", () => {
  rig.call({ m: 'get_state', uid: BERT });
  rig.answerState({}, [{ uid: BERT, status: 'online', xmpp_time: 0 }]);
  expect(rig.toCallers).toEqual([
    {
      ...{ type: 'local_state', tap: 'up', _uid: ME, peers: 1 },
      counters: expect.objectContaining({ links: 1, gateway_calls: 1, elsewhere: 7 }),
    },
    { type: 'peer_state', uid: BERT, status: 'online', xmpp_time: 0 },
  ]);
});

test('when too many get_state wait already, one more is left to tincan alone, and register_svc is told', () => {
  for (let n = 0; n < 256; n++) rig.call({ m: 'get_state' });
  rig.sent = [];
  rig.call({ m: 'get_state', uid: BERT, id: 'mine' });
  rig.call(REGISTER);
  expect(rig.toTincan).toEqual([{ m: 'get_state', uid: BERT, id: 'mine' }]);
  expect(rig.toCallers).toMatchObject([{ type: 'error', m: 'register_svc', code: 'API_BUSY' }]);
  expect(rig.gateway.counters.gateway_asks_overrun).toBe(2);
});

test.each(FORMS)('get_state in form %i tells of friends too, counts them, and keeps the id', (form) => {
  rig = GatewayRig.signedIn(form);
  const other = '33'.repeat(20);
  rig.presence(`carl@vpn.test/tincan${other}`, true);
  rig.answerState();
  rig.presence(`carl@vpn.test/tincan${other}`, false);
  rig.answerState();
  rig.sent = [];
  rig.now += 7_900;
  rig.call({ m: 'get_state', id: 42, uid: '', stats: 1 });
  expect(rig.toTincan).toMatchObject([{ m: 'get_state', uid: '', stats: true }]);
  rig.answerState({}, [
    { uid: BERT, status: 'online', xmpp_time: 0 },
    { uid: 'aa', xmpp_time: 0 },
  ]);
  expect(rig.toCallers).toMatchObject([
    {
      type: 'local_state',
      id: 42,
      peers: 3,
      xmpp: { jid: `anna@vpn.test/tincan${ME}`, state: 'online', detail: null },
      counters: { links: 1, elsewhere: 7, gateway_calls: expect.any(Number) },
    },
    { uid: BERT, id: 42, xmpp_time: 0 },
    { uid: 'aa', id: 42, xmpp_time: 0 },
    { uid: other, id: 42, status: 'offline', xmpp_time: 7 },
  ]);
});
