import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { connect as connectTls, rootCertificates } from 'node:tls';
import { describeError, SLOW_ADDRESSES, SystemError, Timers } from '@kith/base';
import {
  canonicalIp,
  classifyUdp,
  decodeBindingResponse,
  encodeBindingRequest,
  type NetworkView,
  STUN_TRANSACTION_BYTES,
  type UdpEndpoint,
} from '@kith/protocol';

/** One server at one address. */
export interface Asked extends UdpEndpoint {
  /** Where it saw the request come from; null: no answer. */
  mapped: UdpEndpoint | null;
  rttMs: number | null;
}

/** RFC 8489 §6.2.1: sent again after 500 ms and after another second; the last answer may take a second. */
const SEND_AT_MS = [0, 500, 1_500];
const GIVE_UP_MS = 2_500;
const STREAM_MS = 5_000;
/** A Binding response with a handful of attributes is far below. */
const MAX_ANSWER_BYTES = 2_048;

/** Asks all servers of one family from one socket how they see it. Never rejects. */
export async function askByUdp(
  family: 4 | 6,
  servers: readonly UdpEndpoint[],
): Promise<{ asked: Asked[]; port: number }> {
  const asked: Asked[] = servers.map((server) => ({ ...server, mapped: null, rttMs: null }));
  if (servers.length === 0) return { asked, port: 0 };
  const transactions = servers.map(() => randomBytes(STUN_TRANSACTION_BYTES));
  const timers = new Timers();
  const socket = createSocket(family === 4 ? { type: 'udp4' } : { type: 'udp6', ipv6Only: true });
  try {
    return await new Promise((resolve) => {
      const startedAt = performance.now();
      const finish = () => resolve({ asked, port: socket.address().port });
      // No such family, or no right to a socket: nobody was asked.
      socket.once('error', () => resolve({ asked, port: 0 }));
      socket.on('message', (data, from) => {
        const answer = decodeBindingResponse(data);
        const index = transactions.findIndex(
          (transaction) => transaction.toString('hex') === answer?.transaction,
        );
        const server = asked[index];
        if (answer?.mapped == null || server === undefined || canonicalIp(from.address) !== server.ip) return;
        server.rttMs ??= performance.now() - startedAt;
        server.mapped = answer.mapped;
        if (asked.every(({ mapped }) => mapped !== null)) finish();
      });
      socket.bind(0, () => {
        socket.removeAllListeners('error');
        // An unreachable address is an answer that does not come.
        socket.on('error', () => {});
        for (const at of SEND_AT_MS) {
          timers.after(`send ${at}`, at, () => {
            for (const [index, { ip, port, mapped }] of asked.entries()) {
              const transaction = transactions[index];
              if (mapped !== null || transaction === undefined) continue;
              socket.send(encodeBindingRequest(transaction), port, ip, () => {});
            }
          });
        }
        timers.after('give up', GIVE_UP_MS, finish);
      });
    });
  } finally {
    timers.clearAll();
    socket.close();
  }
}

/** How UDP leaves this machine, by the answers that came to one socket of each family. */
export function viewOf(
  own: readonly string[],
  v4: { asked: readonly Asked[]; port: number },
  v6: { asked: readonly Asked[]; port: number },
): NetworkView {
  const judge = (asked: readonly Asked[], port: number, isSix: boolean) =>
    classifyUdp({
      own: own.filter((ip) => ip.includes(':') === isSix).map((ip) => ({ ip, port })),
      servers: asked.map(({ mapped }) => ({ mapped, isOverdue: mapped === null })),
      peers: [],
    });
  return { v: 1, ip4: judge(v4.asked, v4.port, false), ip6: judge(v6.asked, v6.port, true) };
}

/** This machine's addresses that reach others, with the interface of each. */
export function ownAddresses(): { device: string; ip: string }[] {
  return Object.entries(networkInterfaces()).flatMap(([device, addresses]) =>
    (addresses ?? []).flatMap(({ address, internal }) => {
      const ip = internal ? undefined : canonicalIp(address);
      return ip === undefined || ip.startsWith('fe80:') ? [] : [{ device, ip }];
    }),
  );
}

/**
 * Asks a TURN server by TCP or TLS the question of STUN; gives ms from the first packet to the answer.
 * @throws SystemError STREAM_FAILED
 */
export function askByStream(
  { host, port, tls }: { host: string; port: number; tls: boolean },
  ca: string | undefined,
): Promise<number> {
  const startedAt = performance.now();
  const timers = new Timers();
  const authorities = ca === undefined ? {} : { ca: [...rootCertificates, ca] };
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket: Socket = tls
    ? connectTls({ host, port, ...authorities, ...name, ...SLOW_ADDRESSES })
    : connectTcp({ host, port, ...SLOW_ADDRESSES });
  const answer = new Promise<number>((resolve, reject) => {
    const give = (why: string, cause?: unknown) => reject(new SystemError('STREAM_FAILED', why, { cause }));
    timers.after('give up', STREAM_MS, () => give(`no answer for ${STREAM_MS / 1000} s`));
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      socket.write(encodeBindingRequest(randomBytes(STUN_TRANSACTION_BYTES)));
    });
    let received = Buffer.alloc(0);
    socket.on('data', (data: Buffer) => {
      received = Buffer.concat([received, data]);
      if (decodeBindingResponse(received) !== undefined) resolve(performance.now() - startedAt);
      else if (received.length > MAX_ANSWER_BYTES) give('what answers is no STUN or TURN server');
    });
    socket.on('error', (error) => give(describeError(error), error));
    socket.on('close', () => give('the server closed the connection'));
  });
  return answer.finally(() => {
    timers.clearAll();
    socket.destroy();
  });
}
