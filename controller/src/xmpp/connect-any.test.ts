import { connect as connectTcp, createServer, Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ATTEMPT_DELAY_MS, connectAny } from './connect-any.ts';

/** Begins to connect and does not get on by itself. */
class Attempts {
  readonly sockets = new Map<string, Socket>();

  readonly connect = (address: string): Socket => {
    const socket = new Socket();
    this.sockets.set(address, socket);
    return socket;
  };

  get addresses(): string[] {
    return [...this.sockets.keys()];
  }

  at(address: string): Socket {
    const socket = this.sockets.get(address);
    if (socket === undefined) throw new Error(`${address} was not tried`);
    return socket;
  }
}

const never = new AbortController().signal;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('an address that takes long to answer is waited for when the others lead nowhere', async () => {
  const attempts = new Attempts();
  const connected = connectAny(['192.0.2.1', '2001:db8::1'], attempts.connect, never);
  vi.advanceTimersByTime(ATTEMPT_DELAY_MS);
  attempts.at('2001:db8::1').emit('error', new Error('ENETUNREACH'));
  vi.advanceTimersByTime(60_000);
  const slow = attempts.at('192.0.2.1');
  expect(slow.destroyed).toBe(false);
  slow.emit('connect');
  expect(await connected).toBe(slow);
});

test('the next address is tried at once after a failure, else after the delay; families take turns', () => {
  const attempts = new Attempts();
  const all = ['2001:db8::1', '2001:db8::2', '192.0.2.1', '192.0.2.2'];
  void connectAny(all, attempts.connect, never);
  expect(attempts.addresses).toEqual(['2001:db8::1']);
  attempts.at('2001:db8::1').emit('error', new Error('ENETUNREACH'));
  expect(attempts.addresses).toEqual(['2001:db8::1', '192.0.2.1']);
  vi.advanceTimersByTime(ATTEMPT_DELAY_MS - 1);
  expect(attempts.addresses).toHaveLength(2);
  vi.advanceTimersByTime(1);
  expect(attempts.addresses).toEqual(['2001:db8::1', '192.0.2.1', '2001:db8::2']);
});

test('when one is connected the others are destroyed, and no more is begun', async () => {
  const attempts = new Attempts();
  const connected = connectAny(['192.0.2.1', '192.0.2.2', '192.0.2.3'], attempts.connect, never);
  vi.advanceTimersByTime(ATTEMPT_DELAY_MS);
  attempts.at('192.0.2.2').emit('connect');
  await connected;
  expect(attempts.at('192.0.2.1').destroyed).toBe(true);
  expect(attempts.at('192.0.2.2').destroyed).toBe(false);
  vi.advanceTimersByTime(60_000);
  expect(attempts.addresses).toHaveLength(2);
  expect(vi.getTimerCount()).toBe(0);
});

test('when all fail the error tells of each', async () => {
  const attempts = new Attempts();
  const connected = connectAny(['192.0.2.1', '2001:db8::1'], attempts.connect, never);
  attempts.at('192.0.2.1').emit('error', new Error('connect ECONNREFUSED 192.0.2.1:5222'));
  attempts.at('2001:db8::1').emit('error', new Error('connect ENETUNREACH 2001:db8::1:5222'));
  await expect(connected).rejects.toThrow(
    'connect ECONNREFUSED 192.0.2.1:5222; connect ENETUNREACH 2001:db8::1:5222',
  );
});

test('whoever gives up leaves nothing open', async () => {
  const attempts = new Attempts();
  const controller = new AbortController();
  const connected = connectAny(['192.0.2.1', '192.0.2.2'], attempts.connect, controller.signal);
  vi.advanceTimersByTime(ATTEMPT_DELAY_MS);
  controller.abort(new Error('enough'));
  await expect(connected).rejects.toThrow('enough');
  expect([...attempts.sockets.values()].map(({ destroyed }) => destroyed)).toEqual([true, true]);
  expect(vi.getTimerCount()).toBe(0);
});

test('a real server is reached behind an address where nobody listens', async () => {
  vi.useRealTimers();
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const connect = (host: string): Socket => connectTcp({ host, port: address.port });
  const socket = await connectAny(['::1', '127.0.0.1'], connect, never);
  expect(socket.remoteAddress).toBe('127.0.0.1');
  socket.destroy();
  server.close();
});
