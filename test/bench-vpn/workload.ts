import { SystemError } from '@kith/base';
import { ended, type Host } from '../lab/index.ts';
import { numberAt } from './json.ts';

/** Two hosts and the address under which the client reaches the server through what is measured. */
export interface Course {
  client: Host;
  server: Host;
  serverAddress: string;
}

export interface TcpResult {
  mbps: number;
  bytes: number;
  retransmits: number;
}

export interface UdpResult {
  /** Datagrams per second that the receiving program got. */
  delivered: number;
  sent: number;
}

// Connecting, and the result's way back, when what is measured is at its limit.
const PATIENCE_MS = 20_000;
// iperf3 begins a UDP run with one datagram each way, which a queue that is still full may lose.
const ATTEMPTS = 2;
const PING_INTERVAL_MS = 10;
/** A lost reply counts as one that took this long: a VPN that loses packets must not look fast for it. */
const LOST_PING_MS = 1000;

/** TCP streams from client to server; what the receiver got. */
export async function tcp(course: Course, seconds: number, streams: number): Promise<TcpResult> {
  const end = await iperf(course, seconds, ['-P', String(streams)]);
  return {
    mbps: numberAt(end, 'end', 'sum_received', 'bits_per_second') / 1e6,
    bytes: numberAt(end, 'end', 'sum_received', 'bytes'),
    retransmits: numberAt(end, 'end', 'sum_sent', 'retransmits'),
  };
}

/** UDP datagrams of `length` bytes, as fast as one sender can (rate 0) or at `rate` datagrams per second. */
export async function udp(course: Course, seconds: number, length: number, rate: number): Promise<UdpResult> {
  const bits = String(Math.round(rate * length * 8));
  const end = await iperf(course, seconds, ['-u', '-l', String(length), '-b', bits]);
  const received = numberAt(end, 'end', 'sum_received', 'seconds');
  return {
    delivered: numberAt(end, 'end', 'sum_received', 'bytes') / length / received,
    sent: numberAt(end, 'end', 'sum_sent', 'packets') / numberAt(end, 'end', 'sum_sent', 'seconds'),
  };
}

async function iperf(course: Course, seconds: number, args: readonly string[]): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await iperfOnce(course, seconds, args);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

async function iperfOnce(
  { client, server, serverAddress }: Course,
  seconds: number,
  args: readonly string[],
): Promise<unknown> {
  const listener = server.spawn('iperf3', ['-s', '-1', '-B', serverAddress, '--forceflush'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await new Promise<void>((resolve, reject) => {
      listener.stdout?.on('data', (text: Buffer) => text.includes('listening') && resolve());
      listener.on('exit', () =>
        reject(new SystemError('IPERF3_FAILED', `iperf3 cannot listen on ${serverAddress}`)),
      );
    });
    const { stdout } = await client.exec(
      'iperf3',
      ['-c', serverAddress, '-t', String(seconds), '-J', ...args],
      {
        timeoutMs: seconds * 1000 + PATIENCE_MS,
      },
    );
    const document: unknown = JSON.parse(stdout);
    if (typeof document === 'object' && document !== null && 'error' in document) {
      throw new SystemError('IPERF3_FAILED', `iperf3: ${document.error}`);
    }
    return document;
  } finally {
    listener.kill('SIGKILL');
    await ended(listener);
  }
}

/** Round trips in milliseconds of pings that leave every 10 ms for so many seconds; a lost one counts as 1000. */
export async function roundTrips({ client, serverAddress }: Course, seconds: number): Promise<number[]> {
  const count = Math.round((seconds * 1000) / PING_INTERVAL_MS);
  const args = ['-n', '-i', String(PING_INTERVAL_MS / 1000), '-c', String(count), '-W', '1', serverAddress];
  const { stdout } = await client.exec('ping', args, { timeoutMs: seconds * 1000 + PATIENCE_MS });
  const answered = [...stdout.matchAll(/icmp_seq=\d+ ttl=\d+ time=([\d.]+) ms/g)].map((match) =>
    Number(match[1]),
  );
  if (answered.length === 0) throw new SystemError('NO_REPLY', `no ping of ${count} was answered`);
  return [...answered, ...Array<number>(Math.max(0, count - answered.length)).fill(LOST_PING_MS)];
}
