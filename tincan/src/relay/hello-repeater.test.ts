import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { HelloRepeater } from './hello-repeater.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** The start of a DTLS 1.2 record (RFC 6347 §4.1) of the first epoch. */
function record(contentType: number, handshakeType: number): Uint8Array {
  return Uint8Array.from([contentType, 0xfe, 0xfd, ...new Array(10).fill(0), handshakeType]);
}
const CLIENT_HELLO = record(22, 1);
const SERVER_HELLO = record(22, 2);

function repeater(): { sent: Uint8Array[]; hello: HelloRepeater } {
  const sent: Uint8Array[] = [];
  return { sent, hello: new HelloRepeater((message) => sent.push(message)) };
}

test('a ClientHello that nobody answers is repeated three times', () => {
  const { sent, hello } = repeater();
  hello.sent(CLIENT_HELLO);
  vi.advanceTimersByTime(10_000);
  expect(sent).toEqual([CLIENT_HELLO, CLIENT_HELLO, CLIENT_HELLO]);
});

test('the first answer ends it for good', () => {
  const { sent, hello } = repeater();
  hello.sent(CLIENT_HELLO);
  hello.received(SERVER_HELLO);
  hello.sent(CLIENT_HELLO);
  vi.advanceTimersByTime(10_000);
  expect(sent).toEqual([]);
});

test('nothing else is repeated, and what is no DTLS is no answer', () => {
  const { sent, hello } = repeater();
  const channelData = Uint8Array.from([0x40, 0, 0, 1, 0]);
  for (const message of [SERVER_HELLO, record(23, 1), channelData, new Uint8Array(0)]) hello.sent(message);
  vi.advanceTimersByTime(10_000);
  expect(sent).toEqual([]);
  hello.sent(CLIENT_HELLO);
  hello.received(channelData);
  vi.advanceTimersByTime(10_000);
  expect(sent).toHaveLength(3);
});

test('a stream that ends takes the copies with it', () => {
  const { sent, hello } = repeater();
  hello.sent(CLIENT_HELLO);
  hello.stop();
  vi.advanceTimersByTime(10_000);
  expect(sent).toEqual([]);
});
