import { expect, test } from 'vitest';
import { API_METHODS, parseApiCall } from './index.ts';

const UID = 'ab'.repeat(20);
const parse = (call: object) => parseApiCall(Buffer.from(JSON.stringify(call)));

test("all 14 methods of IPOP's are there", () => {
  expect(API_METHODS).toEqual(
    expect.arrayContaining([
      ...['register_svc', 'create_link', 'set_local_ip', 'set_remote_ip', 'trim_link', 'set_cb_endpoint'],
      ...['get_state', 'set_logging', 'set_translation', 'set_switchmode', 'set_trimpolicy', 'echo_request'],
      ...['echo_reply', 'set_network_ignore_list'],
    ]),
  );
});

test("empty texts, which IPOP's controllers send for what they do not have, mean nothing", () => {
  expect(parse({ m: 'set_local_ip', uid: '', ip4: '', ip6: '' }).params).toMatchObject({
    uid: undefined,
    ip4: undefined,
    ip6: undefined,
  });
  expect(parse({ m: 'set_remote_ip', uid: UID, ip4: '127.0.0.1', ip6: '::1/128' }).params).toMatchObject({
    ip4: '127.0.0.1',
    ip6: '::1',
  });
});

test.each([
  ['send_msg', { data: 'hello', overlay_id: 1 }, { name: 'send_msg', uid: UID, data: 'hello' }],
  ['con_req', { data: '' }, { name: 'con_req', uid: UID, data: '' }],
  ['ping', {}, { name: 'ping', uid: UID, data: '' }],
])('%s, which tincan does not know, is a message for the node that it names', (m, fields, params) => {
  expect(parse({ m, id: 4, uid: UID, ...fields })).toMatchObject({ m: 'pass_through', id: 4, params });
});

test.each([
  ['send_msg', { uid: 'x', data: '' }, 'uid'],
  ['send_msg', { uid: UID, data: 7 }, 'data'],
  ['send_msg', { uid: UID, data: 'x'.repeat(4_097) }, 'data'],
  ['bad name', { uid: UID }, 'm'],
  ['x'.repeat(65), { uid: UID }, 'm'],
  ['set_member', { uid: UID, ip4: '1.2.3.4.5' }, 'ip4'],
  ['set_network_mode', { layer: 2 }, 'on_demand'],
  ['set_mapped_address', { mapped: { ip4: '203.0.113.9', port: 0 } }, 'mapped.port'],
  ['set_mapped_address', {}, 'mapped'],
  ['set_translation', {}, 'translate'],
  ['set_network_ignore_list', { network_ignore_list: ['a-name-that-is-too-long'] }, 'network_ignore_list.0'],
  ['register_svc', { username: 7 }, 'username'],
  ['set_local_ip', { ip6: 'fd00::/64' }, 'ip6'],
  [
    'create_link',
    { uid: UID, translation: { remote_ip4: '10.0.0.1', mapped_ip4: 'x' } },
    'translation.mapped_ip4',
  ],
])('%s %j is refused, naming %s', (m, fields, field) => {
  expect(() => parse({ m, id: 1, ...fields })).toThrow(expect.objectContaining({ field, id: 1 }));
});
