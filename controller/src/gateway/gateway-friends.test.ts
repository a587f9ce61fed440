import { PeerError } from '@kith/base';
import { API_METHODS, MAX_SIGNAL_CHARS, RESERVED_MESSAGES } from '@kith/protocol';
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { BERT, BERT_JID, FORMS, GatewayRig, ME } from './gateway.test.helper.ts';

let rig: GatewayRig;

beforeEach(() => {
  rig = new GatewayRig();
});

test("a friend's coming and going is told as his peer_state, with tincan's knowledge where it has some", () => {
  rig = GatewayRig.signedIn();
  rig.now += 1_000;
  rig.presence(BERT_JID, false);
  rig.answerState({}, [{ uid: BERT, status: 'online', xmpp_time: 0 }]);
  rig.now += 5_000;
  rig.presence(BERT_JID, true);
  rig.answerState();
  rig.presence(BERT_JID, true);
  rig.presence('bert@vpn.test/phone', true);
  rig.presence(`anna@vpn.test/tincan${ME}`, true);
  expect(rig.toCallers).toMatchObject([
    { type: 'peer_state', uid: BERT, status: 'online', xmpp_time: 0 },
    { type: 'peer_state', uid: BERT, status: 'offline', xmpp_time: 0 },
  ]);
  expect(rig.toCallers.every((message) => !('id' in message))).toBe(true);
});

test('con_resp goes by XMPP for a create_link with overlay_id 1, and to the callback endpoint with 0', () => {
  rig = GatewayRig.signedIn();
  const response = Buffer.from(
    JSON.stringify({ type: 'con_resp', uid: BERT, data: 'FPR cas', complete: true }),
  );
  const partly = Buffer.from(JSON.stringify({ type: 'con_resp', uid: BERT, data: 'FPR', complete: false }));
  const create = { m: 'create_link', uid: BERT, fpr: '', cas: '' };
  rig.call({ ...create, overlay_id: 1 });
  expect(rig.toTincan).toEqual([{ ...create, overlay_id: 1 }]);
  rig.gateway.notified(1, partly, rig.now);
  rig.gateway.notified(1, response, rig.now);
  expect(rig.signals).toEqual([{ jid: BERT_JID, type: 'con_resp', data: 'FPR cas' }]);
  expect(rig.toCallers).toEqual([]);
  rig.call({ ...create, overlay_id: 0 });
  rig.gateway.notified(1, response, rig.now);
  expect(rig.toCallers).toMatchObject([{ type: 'con_resp', data: 'FPR cas' }]);
  expect(rig.signals).toHaveLength(1);
});

test('create_link by XMPP for nobody is an error, and a con_resp that is not taken is told', async () => {
  rig = GatewayRig.signedIn();
  rig.call({ m: 'create_link', uid: 'cc'.repeat(20), overlay_id: 1, id: 5 });
  expect(rig.toTincan).toEqual([]);
  expect(rig.toCallers).toMatchObject([{ type: 'error', id: 5, code: 'XMPP_NO_FRIEND', field: 'uid' }]);
  rig.call({ m: 'create_link', uid: BERT, overlay_id: 1 });
  rig.deliver = async () => {
    throw new PeerError('XMPP_SIGNAL_REFUSED', 'nobody there');
  };
  const response = Buffer.from(JSON.stringify({ type: 'con_resp', uid: BERT, data: 'x' }));
  rig.gateway.notified(1, response, rig.now);
  await Promise.resolve();
  rig.presence(BERT_JID, false);
  rig.gateway.notified(1, response, rig.now);
  await new Promise(setImmediate);
  expect(rig.toCallers.slice(1)).toMatchObject([
    { type: 'error', m: 'con_resp', code: 'XMPP_SIGNAL_REFUSED' },
    { type: 'error', m: 'con_resp', code: 'XMPP_NO_FRIEND' },
  ]);
});

test('messages to friends go by XMPP and are acknowledged when the friend took them; others go to tincan', async () => {
  rig = GatewayRig.signedIn();
  rig.call({ m: 'con_req', uid: BERT, overlay_id: 1, data: 'FPR', id: 1 });
  rig.call({ m: 'send_msg', uid: BERT, data: 'no id' });
  await new Promise(setImmediate);
  expect(rig.signals).toEqual([
    { jid: BERT_JID, type: 'con_req', data: 'FPR' },
    { jid: BERT_JID, type: 'send_msg', data: 'no id' },
  ]);
  expect(rig.toCallers).toEqual([{ type: 'ok', id: 1, m: 'con_req' }]);
  expect(rig.toTincan).toEqual([]);
  const byLink = { m: 'send_msg', uid: BERT, overlay_id: 0, data: 'ätsch' };
  const toStranger = { m: 'send_msg', uid: 'cc'.repeat(20), overlay_id: 1, data: '' };
  rig.call(byLink);
  rig.call(toStranger);
  expect(rig.toTincan).toEqual([byLink, toStranger]);
});

test('a message that XMPP does not take, or that passes for ours, is an error of its call', async () => {
  rig = GatewayRig.signedIn();
  rig.deliver = async () => {
    throw new PeerError('XMPP_SIGNAL_REFUSED', 'nobody there');
  };
  rig.call({ m: 'con_stat', uid: BERT, data: 'online', id: 1 });
  rig.call({ m: 'send_msg', uid: BERT, data: 'ätsch', id: 2 });
  rig.call({ m: 'send_msg', uid: BERT, data: 'x', id: 3 });
  await new Promise(setImmediate);
  expect(rig.toCallers).toMatchObject([
    { type: 'error', id: 1, m: 'con_stat', field: 'm' },
    { type: 'error', id: 2, m: 'send_msg', field: 'data' },
    { type: 'error', id: 3, m: 'send_msg', code: 'XMPP_SIGNAL_REFUSED' },
  ]);
});

test("what friends say comes to the callback endpoint in IPOP's words, and in ours marked as theirs", () => {
  for (const form of FORMS) {
    rig = GatewayRig.signedIn(form);
    expect(rig.signal(BERT_JID, 'con_req', 'FPR')).toBeNull();
    const expected =
      form === 4
        ? { type: 'peer_message', m: 'con_req', uid: BERT, data: 'FPR' }
        : { type: 'con_req', uid: BERT, data: 'FPR' };
    expect(rig.sent).toMatchObject([{ to: { port: 6_000, form }, type: 1 }]);
    expect(rig.toCallers).toEqual([expected]);
  }
});

test('a friend cannot say what tincan says, nor too much, nor under a name that is taken, nor before anybody listens', () => {
  rig = GatewayRig.signedIn();
  for (const name of [...RESERVED_MESSAGES, 'a b', '', '9'])
    expect(rig.signal(BERT_JID, name, '')).toBe('not-acceptable');
  expect(rig.signal(BERT_JID, 'send_msg', 'x'.repeat(MAX_SIGNAL_CHARS + 1))).toBe('not-acceptable');
  expect(rig.signal(`mallory@vpn.test/tincan${BERT}`, 'con_req', '')).toBe('conflict');
  expect(rig.signal(`mallory@vpn.test/tincan${ME}`, 'con_req', '')).toBe('service-unavailable');
  expect(rig.signal('bert@vpn.test/phone', 'con_req', '')).toBe('service-unavailable');
  expect(rig.sent).toEqual([]);
  rig = new GatewayRig();
  expect(rig.signal(BERT_JID, 'con_req', '')).toBe('service-unavailable');
});

test('more than 200 messages in a second are refused, and counted', () => {
  rig = GatewayRig.signedIn();
  const refused = Array.from({ length: 300 }, () => rig.signal(BERT_JID, 'send_msg', ''));
  expect(refused.filter((condition) => condition === 'resource-constraint')).not.toHaveLength(0);
  expect(rig.gateway.counters.gateway_signals_refused).toBeGreaterThanOrEqual(90);
  expect(rig.gateway.signal(BERT_JID, 'send_msg', '', rig.now + 1_000)).toBeNull();
});

test('a friend who is none any more is not reached', () => {
  rig = GatewayRig.signedIn();
  rig.gateway.friendsChanged(() => false);
  const message = { m: 'con_req', uid: BERT, data: '' };
  rig.call(message);
  expect(rig.signals).toEqual([]);
  expect(rig.toTincan).toEqual([message]);
});

test('any bytes from anywhere end in something sent or nothing, and never in an exception', () => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({
        m: fc.constantFrom(...API_METHODS, 'send_msg', 'con_req', 'con_resp'),
        type: fc.constantFrom('local_state', 'peer_state', 'con_resp', 'error', undefined),
        id: fc.option(fc.oneof(fc.string(), fc.integer()), { nil: undefined }),
        uid: fc.constantFrom(BERT, ME, '', 'zz'),
        data: fc.string(),
        overlay_id: fc.constantFrom(0, 1, 2),
        port: fc.integer(),
        ip: fc.constantFrom('::', '127.0.0.1', 'x'),
        peers: fc.oneof(fc.integer(), fc.string()),
      })
      .map((object) => JSON.stringify(object)),
  );
  const step = fc.record({
    from: fc.constantFrom('client', 'tincan', 'notified', 'signal', 'presence', 'state', 'tick'),
    type: fc.constantFrom(1, 1, 1, 2, 3, 9),
    text,
    jid: fc.constantFrom(BERT_JID, `carl@h/tincan${BERT}`, 'x', `a@b/tincan${ME}`),
    flag: fc.boolean(),
    after: fc.nat(2_000),
  });
  fc.assert(
    fc.property(fc.constantFrom(...FORMS), fc.array(step, { maxLength: 30 }), (form, steps) => {
      rig = GatewayRig.signedIn(form);
      for (const { from, type, text, jid, flag, after } of steps) {
        rig.now += after;
        const payload = Buffer.from(text);
        if (from === 'client') rig.gateway.fromClient(rig.client, type, payload, rig.now);
        else if (from === 'tincan') rig.gateway.fromTincan(rig.client, type, payload, rig.now);
        else if (from === 'notified') rig.gateway.notified(type, payload, rig.now);
        else if (from === 'signal') rig.signal(jid, text.slice(0, 20), text);
        else if (from === 'presence') rig.presence(jid, flag);
        else if (from === 'state')
          rig.gateway.hubState({ state: flag ? 'online' : 'waiting', detail: text }, rig.now);
        else rig.gateway.tick(rig.now);
      }
      rig.gateway.tick(rig.now + 2_000);
      expect(rig.gateway.isWaiting).toBe(false);
    }),
    { numRuns: Number(process.env.KITH_RUNS ?? 200) },
  );
});
