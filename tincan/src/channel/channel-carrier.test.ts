import { expect, test } from 'vitest';
import { AGGREGATE_MAX_BYTES } from './aggregation.ts';
import { ChannelCarrier } from './channel-carrier.ts';
import { CREDIT_WINDOW, type CreditReport } from './credit.ts';

/** A virtio header without offloads, and an Ethernet frame of an unknown type. */
function read(seed: number, payloadBytes: number): Uint8Array {
  return Uint8Array.from([
    ...new Uint8Array(10),
    ...[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5],
    ...new Uint8Array(payloadBytes).fill(seed),
  ]);
}

/** A TCP super-frame as a read of TAP gives it, with `payloadBytes` of payload in segments of 1 000. */
function superFrame(payloadBytes: number): Uint8Array {
  const ipBytes = 40 + payloadBytes;
  const virtio = [1, 1, 54, 0, 1000 & 0xff, 1000 >> 8, 34, 0, 16, 0];
  const ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
  const ip = [0x45, 0, ipBytes >> 8, ipBytes & 0xff, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
  const tcp = [4, 210, 4, 211, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 1, 0, 0, 0, 0, 0];
  return Uint8Array.from([...virtio, ...ethernet, ...ip, ...tcp, ...new Uint8Array(payloadBytes).fill(5)]);
}

interface End {
  readonly carrier: ChannelCarrier;
  readonly messages: Uint8Array[];
  readonly chunks: Uint8Array[];
  readonly reports: CreditReport[];
}

function newEnd(): End {
  const messages: Uint8Array[] = [];
  const chunks: Uint8Array[] = [];
  const reports: CreditReport[] = [];
  const channel = {
    framesBuffered: 0,
    sendFrames: (message: Uint8Array) => {
      messages.push(message.slice());
      return true;
    },
  };
  const carrier = new ChannelCarrier(channel, {
    chunk: (data, offset, length) => chunks.push(data.slice(offset, offset + length)),
    sendCredit: (report) => reports.push(report),
    violation: (reason) => expect.unreachable(reason),
  });
  return { carrier, messages, chunks, reports };
}

test('small frames share a message and come out as chunks of their own', () => {
  const [from, to] = [newEnd(), newEnd()];
  for (let seed = 0; seed < 10; seed++) from.carrier.enqueue(read(seed, 100), 0, 124);
  from.carrier.flush();
  expect(from.messages.length).toBe(1);
  for (const message of from.messages) to.carrier.receive(message);
  expect(to.chunks.map((chunk) => [chunk[0], chunk.at(-1), chunk.length])).toEqual(
    Array.from({ length: 10 }, (_, seed) => [0, seed, 8 + 114]),
  );
  expect(to.carrier.rxBytes).toBe(from.carrier.txBytes);
});

test('broadcasts and multicasts are counted apart at both ends: they do not mean that anybody uses the link', () => {
  const [from, to] = [newEnd(), newEnd()];
  const broadcast = read(1, 100);
  broadcast.fill(0xff, 10, 16);
  const multicast = read(2, 50);
  multicast.set([0x33, 0x33, 0, 0, 0, 1], 10);
  for (const frame of [broadcast, multicast, read(3, 200)]) from.carrier.enqueue(frame, 0, frame.length);
  from.carrier.flush();
  for (const message of from.messages) to.carrier.receive(message);
  for (const { carrier } of [from, to]) {
    expect(carrier.usedBytes).toBe(8 + 214);
    expect(carrier.rxBytes + carrier.txBytes).toBe(8 + 214 + (8 + 114) + (8 + 64));
  }
});

test('a super-frame leaves in messages of the largest size, without any byte of it lost', () => {
  const [from, to] = [newEnd(), newEnd()];
  const frame = superFrame(58_000);
  from.carrier.enqueue(frame, 0, frame.length);
  from.carrier.flush();
  expect(from.messages.length).toBe(4);
  for (const message of from.messages) {
    expect(message.length).toBeLessThanOrEqual(6 + AGGREGATE_MAX_BYTES);
    to.carrier.receive(message);
  }
  expect(to.chunks.every((chunk) => chunk[0] === 1)).toBe(true);
  expect(to.chunks.reduce((sum, chunk) => sum + chunk.length - 8 - 54, 0)).toBe(58_000);
});

test('while messages get lost a super-frame leaves in chunks that fit one SCTP packet each', () => {
  const from = newEnd();
  let sent = 0;
  for (let round = 0; round < 40; round++) {
    for (let count = 0; count < 8; count++) {
      const frame = read(1, 1300);
      from.carrier.enqueue(frame, 0, frame.length);
      from.carrier.flush();
    }
    // One in eight is lost.
    sent = from.carrier.sent;
    from.carrier.credit({ grant: sent + CREDIT_WINDOW, seq: sent, received: Math.floor((sent * 7) / 8) });
  }
  from.messages.length = 0;
  const frame = superFrame(20_000);
  from.carrier.enqueue(frame, 0, frame.length);
  from.carrier.flush();
  expect(from.messages.length).toBeGreaterThan(17);
  for (const message of from.messages) expect(message.length).toBeLessThanOrEqual(1_200);
});

test('a frame that is none is counted and leaves nothing behind', () => {
  const from = newEnd();
  from.carrier.enqueue(new Uint8Array(12), 0, 12);
  from.carrier.flush();
  expect(from.messages).toEqual([]);
  expect(from.carrier.unsendable).toBe(1);
});
