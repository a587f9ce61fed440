import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createLogger } from '@kith/base';
import { type Candidate, type IceServer, parseCandidate } from '@kith/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeTurnSocket } from '../turn/fake-turn-socket.test.helper.ts';
import { LinkRelay } from './link-relay.ts';
import type { Patience } from './relay-patience.ts';
import { StreamRelays } from './stream-relays.ts';

const PEER = { ip: '198.51.100.7', port: 5801 };
const STRANGER = { ip: '198.51.100.7', port: 61_234 };
const candidate = parseCandidate(`0:1:udp:${PEER.ip}:${PEER.port}:1:abcd:0123456789012345678901:stun::0:1`);

let server: FakeTurnSocket;
let relays: StreamRelays;
let ice: Socket;
const open: { close(): unknown }[] = [];

beforeEach(async () => {
  server = await FakeTurnSocket.listen();
  relays = new StreamRelays({
    ca: undefined,
    log: createLogger('test', 'silent'),
    clock: () => performance.now(),
  });
  ice = createSocket('udp4');
  ice.bind(0, '127.0.0.1');
  await once(ice, 'listening');
  open.push(server, ice);
});

afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

const turnAt = (port: number): IceServer => ({
  ...{ type: 'turn', host: '127.0.0.1', port, username: 'user', password: 'secret' },
});

interface Told {
  relayed: string[];
  detours: Candidate[];
  settled: (readonly string[])[];
  lost: string[];
}

function opened(servers: IceServer[], excluded?: string, patience?: () => Patience): LinkRelay {
  const options = {
    relays,
    resolve: async (host: string) => {
      if (host === 'nowhere.test') throw new Error('ENOTFOUND');
      return [host];
    },
    isExcluded: (ip: string) => ip === excluded,
  };
  const relay = LinkRelay.open(servers, options, patience);
  open.push(relay);
  return relay;
}

function start(servers: IceServer[], excluded?: string): { relay: LinkRelay; told: Told } {
  const relay = opened(servers, excluded);
  return { relay, told: listen(relay) };
}

function listen(relay: LinkRelay): Told {
  const told: Told = { relayed: [], detours: [], settled: [], lost: [] };
  relay.listen({
    allocated: ({ ip, port, type }) => told.relayed.push(`${type} ${ip}:${port}`),
    settled: (failures) => told.settled.push(failures),
    detour: (detour) => told.detours.push(detour),
    lost: (reason) => told.lost.push(reason),
  });
  relay.setIcePort(ice.address().port);
  return told;
}

const waits = (ms: number) => (): Patience => ({ ms, isKnown: true });

const until = (condition: () => unknown) => vi.waitUntil(condition, { timeout: 5_000, interval: 1 });

test('no server is asked before patience has ended, nor at all when the link is there by then', async () => {
  const late = opened([turnAt(server.port)], undefined, waits(60));
  const never = opened([turnAt(server.port)], undefined, waits(60));
  const [toldLate, toldNever] = [listen(late), listen(never)];
  expect(toldNever.settled).toEqual([]);
  never.notNeeded();
  expect(toldNever.settled).toEqual([[]]);
  const begun = performance.now();
  late.reach(candidate);
  await until(() => toldLate.relayed.length > 0);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(60);
  // Too late for it: what was given is the link's to give back.
  late.notNeeded();
  expect(toldLate.settled).toEqual([[]]);
  expect(server.turn.allocations.size).toBe(1);
  expect(toldNever.relayed).toEqual([]);
});

test('patience begins with the first address of the peer, and has an end without one', () => {
  vi.useFakeTimers();
  try {
    const asked = (relay: LinkRelay): boolean => {
      const told = listen(relay);
      relay.notNeeded();
      // Whoever has been asked by then still may give an address.
      return told.settled.length === 0;
    };
    const [silent, heard] = [
      opened([turnAt(server.port)], undefined, waits(60)),
      opened([turnAt(server.port)], undefined, waits(60)),
    ];
    vi.advanceTimersByTime(5_000);
    heard.reach(candidate);
    vi.advanceTimersByTime(50);
    heard.reach({ ...candidate, port: candidate.port + 1 });
    vi.advanceTimersByTime(50);
    expect(asked(heard)).toBe(true);
    expect(asked(silent)).toBe(false);
    const unheard = opened([turnAt(server.port)], undefined, waits(60));
    vi.advanceTimersByTime(6_000);
    expect(asked(unheard)).toBe(true);
  } finally {
    vi.useRealTimers();
  }
});

test('a link that does not know its patience yet asks when it learns that it has none, or when it should have learnt, and otherwise has it', async () => {
  let learnt: Patience = { ms: 60_000, isKnown: false };
  const later = listen(opened([turnAt(server.port)], undefined, () => learnt));
  learnt = { ms: 0, isKnown: true };
  await until(() => later.relayed.length > 0);
  const begun = performance.now();
  const never = listen(opened([turnAt(server.port)], undefined, () => ({ ms: 120, isKnown: false })));
  let isKnown = false;
  const relay = opened([turnAt(server.port)], undefined, () => ({ ms: isKnown ? 60_000 : 120, isKnown }));
  const patient = listen(relay);
  relay.reach(candidate);
  isKnown = true;
  await until(() => never.relayed.length > 0);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(120);
  relay.notNeeded();
  expect(patient).toMatchObject({ relayed: [], settled: [[]] });
});

test('an address is told, and the peer is reached at a port on loopback, both ways', async () => {
  const { relay, told } = start([turnAt(server.port)]);
  relay.reach(candidate);
  await until(() => told.detours.length === 1);
  expect(told.relayed).toEqual(['relay 127.0.0.1:61000']);
  expect(told.settled).toEqual([[]]);
  const detour = told.detours[0];
  expect(detour).toMatchObject({ ip: '127.0.0.1', type: 'relay', ufrag: 'abcd' });
  ice.send('check', detour?.port ?? 0, '127.0.0.1');
  await until(() => server.passed.length === 1);
  expect(server.passed).toEqual([{ peer: PEER, text: 'check' }]);
  const heard = once(ice, 'message');
  server.fromPeer(PEER, 'answer');
  const [data, from] = await heard;
  expect([String(data), from.port]).toEqual(['answer', detour?.port]);
});

test('a pair by such a port is a relayed one, and no other is', async () => {
  const { relay, told } = start([turnAt(server.port)]);
  relay.reach(candidate);
  await until(() => told.detours.length === 1);
  const pair = { local: '203.0.113.9:1', remote: '', localType: 'stun', remoteType: 'relay' } as const;
  expect(relay.named({ ...pair, remote: `127.0.0.1:${told.detours[0]?.port}` })).toEqual({
    ...{ local: '127.0.0.1:61000', localType: 'relay', remote: '198.51.100.7:5801', remoteType: 'stun' },
  });
  const other = { ...pair, remote: '198.51.100.7:5801' };
  expect(relay.named(other)).toBe(other);
  expect(relay.named(null)).toBeNull();
});

test('a peer that comes from an address it did not name is heard, and what is said to it waits for the server', async () => {
  const { relay, told } = start([turnAt(server.port)]);
  relay.reach(candidate);
  await until(() => told.detours.length === 1);
  const heard = once(ice, 'message');
  server.fromPeer(STRANGER, 'check');
  const [, from] = await heard;
  expect(from.port).not.toBe(told.detours[0]?.port);
  ice.send('answer', from.port, '127.0.0.1');
  await until(() => server.passed.length === 1);
  expect(server.passed).toEqual([{ peer: STRANGER, text: 'answer' }]);
});

test('what another process of this machine sends to a port is dropped', async () => {
  const { relay, told } = start([turnAt(server.port)]);
  relay.reach(candidate);
  await until(() => told.detours.length === 1);
  const port = told.detours[0]?.port ?? 0;
  const other = createSocket('udp4');
  open.push(other);
  await new Promise((sent) => other.send('forged', port, '127.0.0.1', sent));
  ice.send('check', port, '127.0.0.1');
  await until(() => server.passed.length > 0);
  expect(server.passed.map(({ text }) => text)).toEqual(['check']);
});

test('a ClientHello that is not answered is sent again', async () => {
  const { relay, told } = start([turnAt(server.port)]);
  relay.reach(candidate);
  await until(() => told.detours.length === 1);
  ice.send(Buffer.from([22, 0xfe, 0xfd, ...Buffer.alloc(10), 1]), told.detours[0]?.port ?? 0, '127.0.0.1');
  await until(() => server.passed.length === 4);
});

test('the address is given back at the end', async () => {
  const { relay, told } = start([turnAt(server.port)]);
  await until(() => told.relayed.length === 1);
  expect(server.turn.allocations.size).toBe(1);
  relay.close();
  await until(() => server.turn.allocations.size === 0);
});

test('of several servers one gives the address; one that is silent or refuses holds nothing up', async () => {
  const refusing = await FakeTurnSocket.listen();
  refusing.turn.refuses = 486;
  open.push(refusing);
  const { told } = start([turnAt(refusing.port), turnAt(server.port)]);
  await until(() => told.settled.length === 1);
  expect(told.relayed).toHaveLength(1);
  expect(server.turn.allocations.size).toBe(1);
});

test('where no server gives an address, each says why', async () => {
  server.turn.refuses = 486;
  const { told } = start([turnAt(server.port), { ...turnAt(3478), host: 'nowhere.test' }]);
  await until(() => told.settled.length === 1);
  expect([...(told.settled[0] ?? [])].sort()).toEqual([
    `udp 127.0.0.1:${server.port}: the quota of allocations is used up`,
    'udp nowhere.test:3478: its address cannot be found',
  ]);
});

test('a server at an address that no link may use is not asked', async () => {
  const { told } = start([turnAt(server.port)], '127.0.0.1');
  await until(() => told.settled.length === 1);
  expect(server.turn.requests).toBe(0);
});

test('a server that has forgotten the address is told of as lost', async () => {
  const { relay, told } = start([turnAt(server.port)]);
  await until(() => told.relayed.length === 1);
  server.turn.allocations.clear();
  // A channel of an allocation that the server does not know: 437.
  relay.reach(candidate);
  await until(() => told.lost.length === 1);
  expect(told.lost[0]).toContain(`udp 127.0.0.1:${server.port}`);
});

test('an address that comes and goes before anyone listens is a server that gave none', async () => {
  const relay = opened([turnAt(server.port)]);
  await until(() => server.turn.allocations.size === 1);
  server.turn.allocations.clear();
  relay.reach(candidate);
  // Twice for the address, once for the channel, and once to give back what is gone.
  await until(() => server.turn.requests === 4);
  const told = listen(relay);
  await until(() => told.settled.length === 1);
  expect([told.relayed, told.lost]).toEqual([[], []]);
  expect(told.settled[0]).toEqual([expect.stringContaining(`udp 127.0.0.1:${server.port}`)]);
});

test('a server to which nothing can be sent says so, and another gives the address', async () => {
  // connect(2) to the broadcast address is refused as one without a route is: EACCES and ENETUNREACH come the same way.
  const noWay = { ...turnAt(3478), host: '255.255.255.255' };
  const alone = start([noWay]);
  await until(() => alone.told.settled.length === 1);
  expect(alone.told.settled[0]).toEqual([
    expect.stringMatching(/^udp 255.*nothing can be sent there: .*EACCES/),
  ]);
  const { told } = start([noWay, turnAt(server.port)]);
  await until(() => told.relayed.length === 1);
});
