import {
  type ApiCall,
  type ApiForm,
  type ApiReply,
  type Endpoint,
  parseApiCall,
  readApiPacket,
  uidOfFingerprint,
  writeApiPacket,
} from '@kith/protocol';
import { beforeEach, expect, test } from 'vitest';
import { NamedApi, namedNotifier } from './named-api.ts';
import { UidNames } from './uid-names.ts';

const ME = '11'.repeat(20);
const SELF_NAME = 'aa'.repeat(20);
const PEER_NAME = 'bb'.repeat(20);
const FPR = Array(32).fill('2C').join(':');
const PEER = uidOfFingerprint(FPR);

let made: ApiCall[];
let icc: Uint8Array[];
let renamed: [string, string][];
let names: UidNames;
let api: NamedApi;

beforeEach(() => {
  made = [];
  icc = [];
  renamed = [];
  names = new UidNames(ME);
  const handlers = {
    call: async (call: ApiCall): Promise<ApiReply[]> => {
      made.push(call);
      return [{ type: 'con_stat', uid: PEER, data: 'online', attempt: 1 }];
    },
    packet: () => undefined,
    icc: (_: number, payload: Uint8Array) => void icc.push(payload),
  };
  api = new NamedApi(handlers, names, (from, to) => void renamed.push([from, to]));
});

const from = (form: ApiForm): Endpoint => ({ address: '127.0.0.1', port: 1, form });
const call = (form: ApiForm, fields: object): Promise<ApiReply[]> =>
  api.call(parseApiCall(Buffer.from(JSON.stringify(fields))), from(form));

test('in our form nothing is renamed: a UID that is not true stays one', async () => {
  await call(4, { m: 'set_local_ip', uid: SELF_NAME, ip4: '172.31.0.1' });
  await call(4, { m: 'create_link', uid: PEER_NAME, fpr: FPR });
  expect(made.map(({ params }) => 'uid' in params && params.uid)).toEqual([SELF_NAME, PEER_NAME]);
  expect(renamed).toEqual([]);
});

test("a controller of IPOP's names its own node and its peers, and is answered by those names", async () => {
  await call(2, { m: 'set_local_ip', uid: SELF_NAME, ip4: '172.31.0.1' });
  await call(2, { m: 'set_remote_ip', uid: PEER_NAME, ip4: '172.31.0.2' });
  await call(2, { m: 'create_link', uid: PEER_NAME, fpr: FPR });
  expect(renamed).toEqual([[PEER_NAME, PEER]]);
  const [reply] = await call(2, { m: 'send_msg', uid: PEER_NAME, data: 'x' });
  expect(made.map(({ params }) => 'uid' in params && params.uid)).toEqual([undefined, PEER_NAME, PEER, PEER]);
  expect(reply).toMatchObject({ uid: PEER_NAME });
  await call(2, { m: 'create_link', uid: PEER_NAME, fpr: FPR });
  expect(renamed).toHaveLength(1);
});

test('ICC datagrams leave with true UIDs and arrive with names; zeros stay zeros', async () => {
  names.nameSelf(SELF_NAME);
  names.name(PEER_NAME, PEER);
  const frame = Buffer.from('0069706f70030000000000000000', 'hex');
  api.icc(3, writeApiPacket(SELF_NAME, PEER_NAME, frame), from(3));
  api.icc(3, writeApiPacket(null, PEER_NAME, frame), from(3));
  expect(icc.map((payload) => readApiPacket(payload).source)).toEqual([ME, null]);
  expect(icc.map((payload) => readApiPacket(payload).destination)).toEqual([PEER, PEER]);
  const sent: Uint8Array[] = [];
  const notifier = namedNotifier(
    { reaches: () => true, notify: () => undefined, send: (_, __, payload) => void sent.push(payload) },
    names,
  );
  notifier.send(from(3), 2, writeApiPacket(ME, null, frame));
  notifier.send(from(4), 2, writeApiPacket(ME, null, frame));
  expect(sent.map((payload) => readApiPacket(payload).source)).toEqual([SELF_NAME, ME]);
});
