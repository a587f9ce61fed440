import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, monotonicMs } from '@kith/base';
import { API_TYPE_CONTROL, ApiForms, type ApiReply, encodeReply } from '@kith/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TincanClient } from './tincan-client.ts';

const SECRET = Buffer.alloc(32, 7);

let dir = '';
let socket: Socket;
let instance: string | undefined;
let client: TincanClient;
let heard: string[];

/** A tincan that answers get_state for as long as it has an instance. */
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kith-client-'));
  writeFileSync(join(dir, 'secret'), SECRET.toString('hex'));
  heard = [];
  instance = 'first';
  const forms = new ApiForms(SECRET, 'secret', process.hrtime.bigint());
  socket = createSocket('udp4');
  socket.on('message', (datagram, { address, port }) => {
    const call = forms.read(datagram, process.hrtime.bigint());
    if (!call.ok || instance === undefined) return;
    const { id }: { id: number } = JSON.parse(Buffer.from(call.payload).toString());
    const reply = encodeReply(call.form, stateReply(id, instance));
    socket.send(forms.write(call.form, API_TYPE_CONTROL, reply, process.hrtime.bigint()), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  client = new TincanClient(socket.address().port, join(dir, 'secret'), createLogger('test', 'silent'), {
    started: ({ local }) => heard.push(`started ${local.instance}`),
    lost: () => heard.push('lost'),
    notification: () => undefined,
  });
  await client.start();
  await vi.waitUntil(() => heard.length === 1, { timeout: 5_000 });
});

afterEach(() => {
  client.stop();
  socket.close();
  rmSync(dir, { recursive: true });
});

function stateReply(id: number, of: string): ApiReply {
  const addresses = { _uid: 'a'.repeat(40), _ip4: '', _ip6: '', _fpr: '', _mac: '' };
  const device = { interface: 'kith0', mtu: 1360, tap: 'up' as const };
  return {
    ...{ type: 'local_state', id, instance: of, version: '0', peers: 0, counters: {} },
    ...addresses,
    ...device,
  };
}

test('who is told that there is news looks at once, and finds another tincan', async () => {
  // It looks by itself at whole multiples of 5 s.
  await vi.waitUntil(() => monotonicMs() % 5_000 < 1_000, { timeout: 20_000 });
  instance = 'second';
  const toldAt = monotonicMs();
  client.look();
  await vi.waitUntil(() => heard.length === 2, { timeout: 20_000 });
  expect(heard).toEqual(['started first', 'started second']);
  expect(monotonicMs() - toldAt).toBeLessThan(4_000);
});

test('a tincan that is said to have died and does not answer is lost, and found again when it is back', async () => {
  instance = undefined;
  client.look();
  await vi.waitUntil(() => client.down !== null, { timeout: 20_000 });
  expect(heard).toEqual(['started first', 'lost']);
  instance = 'second';
  await vi.waitUntil(() => heard.length === 3, { timeout: 20_000 });
  expect(heard[2]).toBe('started second');
  expect(client.down).toBeNull();
});
