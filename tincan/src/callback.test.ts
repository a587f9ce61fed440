import type { ApiForm, ApiReply, Endpoint } from '@kith/protocol';
import { expect, test } from 'vitest';
import { Callback } from './callback.ts';

const ME = '11'.repeat(20);

function started(): { callback: Callback; sent: [Endpoint, ApiReply | number][] } {
  const sent: [Endpoint, ApiReply | number][] = [];
  const callback = new Callback({
    reaches: (address) => address === '127.0.0.1' || address === '::1',
    notify: (to, message) => void sent.push([to, message]),
    send: (to, type) => void sent.push([to, type]),
  });
  return { callback, sent };
}

const caller = (form: ApiForm, address = '127.0.0.1'): Endpoint => ({ address, port: 9, form });
const conResp = (complete: boolean): ApiReply => ({
  type: 'con_resp',
  uid: ME,
  data: '',
  attempt: 1,
  complete,
});

test.each(['::', '0.0.0.0'])('%s means where the call came from', (ip) => {
  const { callback, sent } = started();
  callback.set({ ip, port: 7 }, caller(3, '::1'));
  callback.notify({ type: 'link_wanted', uid: ME });
  expect(sent[0]?.[0]).toEqual({ address: '::1', port: 7, form: 3 });
});

test.each(['203.0.113.9', '10.0.0.1', 'localhost', '::2'])('%s is refused: it is not on loopback', (ip) => {
  expect(() => started().callback.set({ ip, port: 7 }, caller(4))).toThrow(
    expect.objectContaining({ code: 'API_FIELD', field: 'ip' }),
  );
});

test("IPOP's controllers get one con_resp of an attempt, the whole one; ours get each", () => {
  for (const [form, expected] of [
    [2, 1],
    [3, 1],
    [4, 2],
  ] as const) {
    const { callback, sent } = started();
    callback.set({ ip: '::', port: 7 }, caller(form));
    callback.notify(conResp(false));
    callback.notify(conResp(true));
    expect(sent).toHaveLength(expected);
  }
});

test("packets go to IPOP's controllers, and to ours when they ask for them", () => {
  const { callback } = started();
  expect(callback.takesPackets).toBe(false);
  callback.set({ ip: '::', port: 7 }, caller(2));
  expect(callback.takesPackets).toBe(true);
  callback.set({ ip: '::', port: 7 }, caller(4));
  expect(callback.takesPackets).toBe(false);
  callback.set({ ip: '::', port: 7, packets: true }, caller(4));
  expect(callback.takesPackets).toBe(true);
});

test('before an endpoint is set nothing is sent', () => {
  const { callback, sent } = started();
  callback.notify(conResp(true));
  callback.packet(ME, null, new Uint8Array(20));
  callback.icc(3, { source: ME, destination: ME, frame: new Uint8Array(20) });
  expect(sent).toEqual([]);
});
