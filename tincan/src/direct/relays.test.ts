import { createLogger } from '@kith/base';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Endpoint, endpointText } from '../endpoint.ts';
import { FakeTurn } from '../turn/fake-turn.test.helper.ts';
import type { RelayServer } from './direct-port.ts';
import { type Relay, Relays, type TurnServer } from './relays.ts';

const SOCKET: Endpoint = { ip: '192.0.2.1', port: 5801 };
const PEER: Endpoint = { ip: '198.51.100.7', port: 5801 };
const UDP: TurnServer = { ip: '203.0.113.1', port: 3478, username: 'user', password: 'secret' };
/** What stands for a server by TLS. */
const STREAM: TurnServer = { ...UDP, ip: '127.0.0.1', port: 4000, isStream: true };
const NAME = 'tls hub.test:5349';
const GRACE_MS = 150;
const DELAY_MS = 5;

let udp: FakeTurn;
let stream: FakeTurn;
/** Servers that hear nothing. */
let deaf: Set<FakeTurn>;
let known: string[];
let told: readonly Relay[];
let failures: [RelayServer, string][];
let ready: string[];
let udpWorked: number;
let whyNot: string | undefined;
let relays: Relays;

beforeEach(() => {
  vi.useFakeTimers();
  [deaf, known, told, failures, ready, udpWorked, whyNot] = [new Set(), [], [], [], [], 0, undefined];
  const hear = (from: Endpoint, to: Endpoint, data: Uint8Array): void => {
    if (to.ip === SOCKET.ip) setTimeout(() => relays.receive(data, from), DELAY_MS);
  };
  udp = new FakeTurn(UDP, hear);
  stream = new FakeTurn(STREAM, hear);
  relays = new Relays(
    {
      port: {
        sendControl: (ip, port, data) => {
          const server = [udp, stream].find((turn) => turn.owns({ ip, port }));
          if (server === undefined || deaf.has(server)) return true;
          const copy = Uint8Array.from(data);
          setTimeout(() => server.receive({ ip, port }, SOCKET, copy), DELAY_MS);
          return true;
        },
        addRelay: (server) => void known.push(endpointText(server)),
        removeRelay: (server) => void known.splice(known.indexOf(endpointText(server)), 1),
      },
      streams: {
        graceMs: () => GRACE_MS,
        udpWorks: () => void udpWorked++,
        nameOf: ({ ip }) => (ip === STREAM.ip ? NAME : undefined),
        whyNot: ({ ip }) => (ip === STREAM.ip ? whyNot : undefined),
      },
      log: createLogger('test', 'silent'),
      clock: () => performance.now(),
    },
    {
      changed: (list) => {
        told = list;
      },
      ready: (peer, server) => void ready.push(`${endpointText(peer)} by ${endpointText(server)}`),
      failed: (server, why) => void failures.push([server, why]),
    },
  );
});

afterEach(() => {
  relays.close();
  vi.advanceTimersByTime(100);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test('where a server answers by UDP no stream is asked, and that UDP works is told once', async () => {
  relays.setServers(1, [STREAM, UDP]);
  relays.want(1, true);
  await vi.advanceTimersByTimeAsync(20_000);
  expect([udp.allocations.size, stream.requests, udpWorked]).toEqual([1, 0, 1]);
  expect(told).toEqual([{ server: { ip: UDP.ip, port: UDP.port }, relayed: expect.anything() }]);
});

test('where none answers by UDP in time a stream is asked, and has its name', async () => {
  deaf.add(udp);
  relays.setServers(1, [UDP, STREAM]);
  relays.want(1, true);
  await vi.advanceTimersByTimeAsync(GRACE_MS - 1);
  expect(stream.requests).toBe(0);
  await vi.advanceTimersByTimeAsync(30);
  expect(told).toEqual([
    { server: { ip: STREAM.ip, port: STREAM.port, name: NAME }, relayed: expect.anything() },
  ]);
  expect(known).toContain(endpointText(STREAM));
  expect(relays.send(PEER, STREAM, Uint8Array.of(1))).toBe(false);
  await vi.advanceTimersByTimeAsync(20);
  expect(ready).toEqual([`${endpointText(PEER)} by ${endpointText(STREAM)}`]);
});

test('where there are no servers by UDP nothing is waited for', async () => {
  relays.setServers(1, [STREAM]);
  relays.want(1, true);
  await vi.advanceTimersByTimeAsync(30);
  expect(told).toHaveLength(1);
  relays.want(1, false);
  await vi.advanceTimersByTimeAsync(31_000);
  expect([told, stream.allocations.size, known]).toEqual([[], 0, []]);
});

test('a stream that broke takes its allocation with it, and another is asked for at once', async () => {
  relays.setServers(1, [STREAM]);
  relays.want(1, true);
  await vi.advanceTimersByTimeAsync(30);
  const [before] = told;
  // The real server gives an allocation back when its stream ends.
  stream.allocations.clear();
  relays.lost(STREAM);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(30);
  expect(told).toHaveLength(1);
  expect(told[0]?.relayed).not.toEqual(before?.relayed);
});

test('a stream that cannot be opened says why as it knows it, by its name', async () => {
  whyNot = `${NAME}: connect ECONNREFUSED`;
  stream.refuses = 508;
  relays.setServers(1, [STREAM]);
  relays.want(1, true);
  await vi.advanceTimersByTimeAsync(100);
  expect(failures).toEqual([[{ ip: STREAM.ip, port: STREAM.port, name: NAME }, whyNot]]);
});
