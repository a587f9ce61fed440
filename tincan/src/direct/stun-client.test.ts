import { expect, test } from 'vitest';
import type { Address } from './direct-port.ts';
import { StunClient } from './stun-client.ts';

const SERVER = { ip: '203.0.113.3', port: 3478 };

function client() {
  const sent: { to: Address; request: Uint8Array }[] = [];
  let count = 0;
  const stun = new StunClient({
    send: (to, request) => sent.push({ to, request }),
    randomBytes: (length) => new Uint8Array(length).fill(++count),
  });
  return { stun, sent };
}

/** A success response that names 192.0.2.1:`port` (RFC 8489 §14.2). */
function response(request: Uint8Array, port: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x0101_000c);
  bytes.set(request.subarray(4, 20), 4);
  view.setUint32(20, 0x0020_0008);
  view.setUint32(24, 0x0001_0000 | (port ^ 0x2112));
  view.setUint32(28, 0xe112_a643);
  return bytes;
}

function run(stun: StunClient, from: number, until: number): void {
  for (let now = stun.tick(from); now <= until; now = stun.tick(now));
}

test('a silent server is asked three times with growing pauses, then again after a while', () => {
  const { stun, sent } = client();
  stun.setServers([SERVER, SERVER], 0);
  run(stun, 0, 20_000);
  expect(sent.length).toBe(3);
  run(stun, 20_000, 40_000);
  expect(sent.length).toBe(6);
  expect(stun.mapped(40_000)).toEqual([]);
});

test('an answer gives the mapped address, is taken once, and only from the server that was asked', () => {
  const { stun, sent } = client();
  stun.setServers([SERVER], 0);
  stun.tick(0);
  const [first] = sent;
  if (first === undefined) expect.unreachable();
  const answer = response(first.request, 40_000);
  expect(stun.receive(answer, { ...SERVER, port: 1 }, 10)).toBe(false);
  const guessed = Uint8Array.from(answer);
  guessed[19] = 99;
  expect(stun.receive(guessed, SERVER, 10)).toBe(false);
  expect(stun.receive(answer, SERVER, 10)).toBe(true);
  expect(stun.receive(answer, SERVER, 11)).toBe(false);
  expect(stun.mapped(20)).toEqual([{ ip: '192.0.2.1', port: 40_000 }]);
  run(stun, 20, 24_000);
  expect(sent.length).toBe(1);
});

test('a mapping that nothing confirms any more is forgotten', () => {
  const { stun, sent } = client();
  stun.setServers([SERVER], 0);
  stun.tick(0);
  stun.receive(response(sent[0]?.request ?? new Uint8Array(0), 40_000), SERVER, 0);
  run(stun, 0, 59_000);
  expect(stun.mapped(59_000).length).toBe(1);
  expect(stun.mapped(61_000)).toEqual([]);
});

test('at most eight servers are asked, whatever the hub names', () => {
  const { stun, sent } = client();
  stun.setServers(
    Array.from({ length: 50 }, (_, i) => ({ ip: '192.0.2.9', port: i + 1 })),
    0,
  );
  stun.tick(0);
  expect(sent.length).toBe(8);
});

test('a server is overdue after a whole round without an answer, and not after its next answer or a change of network', () => {
  const { stun, sent } = client();
  stun.setServers([SERVER], 0);
  expect(stun.views(0)).toEqual([{ server: SERVER, mapped: null, isOverdue: false }]);
  run(stun, 0, 20_000);
  expect(stun.views(20_000)).toEqual([{ server: SERVER, mapped: null, isOverdue: true }]);
  stun.restart(20_000);
  expect(stun.views(20_000)[0]?.isOverdue).toBe(false);
  stun.tick(20_000);
  stun.receive(response(sent.at(-1)?.request ?? new Uint8Array(), 4000), SERVER, 20_010);
  expect(stun.views(20_010)).toEqual([
    { server: SERVER, mapped: { ip: '192.0.2.1', port: 4000 }, isOverdue: false },
  ]);
});
