import { createLogger } from '@kith/base';
import { type DirectControl, type IceServer, isChannelData } from '@kith/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Endpoint, endpointText } from '../endpoint.ts';
import { FakeTurn } from '../turn/fake-turn.test.helper.ts';
import type { DirectCarrier } from './direct-carrier.ts';
import { DirectNode } from './direct-node.ts';
import type { DirectLinkStats, DirectPort } from './direct-port.ts';

const LINK = 3;
const UIDS = ['a'.repeat(40), 'b'.repeat(40)] as const;
const DELAY = 5;
const TURN_HOST = '203.0.113.1';
const TURN: IceServer = { type: 'turn', host: TURN_HOST, port: 3478, username: 'user', password: 'secret' };
const NOTHING: DirectLinkStats = {
  ...{ rxBytes: 0, txBytes: 0, rxDatagrams: 0, txDatagrams: 0, lastReceivedMs: 0 },
  ...{ forged: 0, replayed: 0, source: null, sentSinceRekey: 0, used: 0 },
};

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

class Port implements DirectPort {
  readonly port = 5801;
  readonly family = 4;
  readonly #send: (to: Endpoint, data: Uint8Array) => void;
  path: Parameters<DirectPort['setPath']>[1] = null;
  readonly relays: string[] = [];
  control: (data: Uint8Array, from: Endpoint) => void = () => {};

  constructor(send: (to: Endpoint, data: Uint8Array) => void) {
    this.#send = send;
  }

  addReceiver(): void {}
  removeReceiver(): void {}
  setSender(): void {}
  removeLink(): void {}
  onPathError(): void {}
  whenUsed(): void {}

  setPath(_link: number, path: Parameters<DirectPort['setPath']>[1]): void {
    this.path = path;
  }

  addRelay(server: Endpoint): void {
    this.relays.push(endpointText(server));
  }

  removeRelay(server: Endpoint): void {
    this.relays.splice(this.relays.indexOf(endpointText(server)), 1);
  }

  sendControl(ip: string, port: number, data: Uint8Array): boolean {
    this.#send({ ip, port }, Uint8Array.from(data));
    return true;
  }

  onControl(handler: (data: Uint8Array, from: Endpoint) => void): void {
    this.control = handler;
  }

  linkStats(): DirectLinkStats {
    return NOTHING;
  }
}

interface World {
  turn: FakeTurn;
  ports: [Port, Port];
  nodes: [DirectNode, DirectNode];
  carriers: [DirectCarrier, DirectCarrier];
  /** Whether UDP passes between the nodes, and from a node to relayed addresses, and whether the data channel lives. */
  open: { direct: boolean; relayed: boolean; channel: boolean };
}

async function world(knowsRelays = true): Promise<World> {
  const open = { direct: false, relayed: true, channel: true };
  const sockets = [
    { ip: '192.0.2.1', port: 5801 },
    { ip: '198.51.100.2', port: 5801 },
  ] as const;
  const ports: Port[] = [];
  const carriers: DirectCarrier[] = [];
  const deliver = (from: Endpoint, to: Endpoint, data: Uint8Array): void => {
    setTimeout(() => {
      const index = sockets.findIndex((socket) => endpointText(socket) === endpointText(to));
      if (turn.owns(to)) turn.receive(to, from, data);
      else ports[index]?.control(data, from);
    }, DELAY);
  };
  const turn = new FakeTurn({ ip: TURN_HOST, port: 3478 }, deliver);
  const nodes = sockets.map((socket, side) => {
    const port = new Port((to, data) => {
      const passes = !turn.owns(to) ? open.direct : to.port === 3478 || open.relayed;
      if (passes) deliver(socket, to, data);
    });
    ports.push(port);
    return new DirectNode({
      port,
      me: UIDS[side] ?? '',
      ownInterface: 'kith0',
      isOverlay: () => false,
      aes: true,
      log: createLogger('test', 'silent'),
      clock: () => performance.now(),
      readAddresses: () => [{ interface: 'eth0', ip: socket.ip, mtu: 1500 }],
      resolve: (host) => Promise.resolve([host]),
    });
  });
  for (const [side, node] of nodes.entries()) {
    const carrier = node.open({
      link: LINK,
      peer: UIDS[1 - side] ?? '',
      peerOverlay: [],
      attempt: 1,
      plain: false,
      iceServers: [TURN],
      peerKnowsRelays: knowsRelays,
      tookMs: 200,
      slowdown: 1,
      channelRtt: () => null,
      channelHeardAt: () => performance.now(),
      send: (message: DirectControl) => {
        if (open.channel) setTimeout(() => carriers[1 - side]?.receiveControl(message), 20);
      },
    });
    carriers.push(carrier);
  }
  await vi.advanceTimersByTimeAsync(0);
  const [firstPort, secondPort] = ports;
  const [firstNode, secondNode] = nodes;
  const [first, second] = carriers;
  if (!firstPort || !secondPort || !firstNode || !secondNode || !first || !second) expect.unreachable();
  return {
    turn,
    ports: [firstPort, secondPort],
    nodes: [firstNode, secondNode],
    carriers: [first, second],
    open,
  };
}

function close({ nodes }: World): void {
  for (const node of nodes) node.close();
  vi.advanceTimersByTime(100);
  expect(vi.getTimerCount()).toBe(0);
}

test('a pair without a direct path is on one allocation within 1.5 s, and with two each end sends to the relayed address of the other', async () => {
  const at = await world();
  // A TURN server is asked for our mapped address, too.
  await vi.advanceTimersByTimeAsync(790);
  expect(at.turn.allocations.size).toBe(0);
  await vi.advanceTimersByTimeAsync(700);
  expect(at.turn.allocations.size).toBe(1);
  expect(at.ports[0].path).toMatchObject({ ip: TURN_HOST, port: 3478, channel: 0x4000 });
  expect(at.ports[0].relays).toEqual([`${TURN_HOST}:3478`]);
  expect(at.ports[1].path).toMatchObject({ ip: TURN_HOST, port: 61_000 });
  expect(at.carriers[0].report().path).toMatchObject({ isRelayed: true, via: { ip: TURN_HOST, port: 3478 } });
  await vi.advanceTimersByTimeAsync(7_000);
  expect(at.turn.allocations.size).toBe(2);
  // 1500 bytes of Ethernet hold IPv4, UDP, ChannelData and 1468 bytes of ours.
  expect(at.ports[0].path).toMatchObject({ ip: TURN_HOST, port: 61_001, datagramBytes: 1468 });
  expect(at.ports[1].path).toMatchObject({ ip: TURN_HOST, port: 61_000, datagramBytes: 1468 });
  for (const carrier of at.carriers) expect(carrier.report().path).toMatchObject({ isRelayed: true });
  close(at);
  expect(at.turn.allocations.size).toBe(0);
});

test('the direct path is taken as soon as it opens, the relay is given back half a minute later, and asked again half a minute after it closes', async () => {
  const at = await world();
  await vi.advanceTimersByTimeAsync(5_000);
  at.open.direct = true;
  // Nothing flows: paths without a relay are asked each ten seconds.
  await vi.advanceTimersByTimeAsync(13_000);
  expect(at.ports[0].path).toMatchObject({ ip: '198.51.100.2', port: 5801 });
  expect(at.ports[1].path).toMatchObject({ ip: '192.0.2.1', port: 5801 });
  expect(at.turn.allocations.size).toBe(2);
  await vi.advanceTimersByTimeAsync(80_000);
  expect(at.turn.allocations.size).toBe(0);
  expect(at.ports[0].relays).toEqual([]);
  at.open.direct = false;
  await vi.advanceTimersByTimeAsync(50_000);
  expect(at.ports[0].path).toMatchObject({ ip: TURN_HOST });
  close(at);
});

test('where only the port of the server itself can be reached, both ends ask, and it goes from relay to relay', async () => {
  const at = await world();
  at.open.relayed = false;
  await vi.advanceTimersByTimeAsync(6_000);
  expect(at.turn.allocations.size).toBe(2);
  for (const port of at.ports) expect(port.path).toMatchObject({ ip: TURN_HOST, port: 3478 });
  close(at);
});

test('a server that forgot its allocations costs the link its relay for seconds only', async () => {
  const at = await world();
  await vi.advanceTimersByTimeAsync(5_000);
  at.turn.allocations.clear();
  // Nothing flows: a probe is sent within 16 s, and 5 s of silence are waited for.
  await vi.advanceTimersByTimeAsync(25_000);
  expect(at.turn.allocations.size).toBe(2);
  for (const port of at.ports) {
    expect(port.path).toMatchObject({ ip: TURN_HOST, port: expect.toSatisfy((number) => number > 61_001) });
  }
  close(at);
});

test('a peer that does not know relays is reached by one all the same, since its answers go where our probes come from', async () => {
  const at = await world(false);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(at.ports[0].path).toMatchObject({ ip: TURN_HOST, port: 3478 });
  expect(at.ports[1].path).toMatchObject({ ip: TURN_HOST });
  // What the peer sees is our relay's address, which is no witness of our own network.
  expect(at.carriers[0].seenAs).toBeUndefined();
  close(at);
});

test('the peer of the one with the relay knows the path for relayed also where no list of addresses arrives any more', async () => {
  const at = await world();
  await vi.advanceTimersByTimeAsync(700);
  at.open.channel = false;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(at.ports[1].path).toMatchObject({ ip: TURN_HOST, port: 61_000 });
  expect(at.carriers[1].report().path).toMatchObject({ isRelayed: true });
  close(at);
});

test('when no server gives an address, the link says why', async () => {
  const at = await world();
  at.turn.refuses = 486;
  await vi.advanceTimersByTimeAsync(5_000);
  const events = at.carriers[0].report().events.map(({ what }) => what);
  expect(events).toContain('no direct path answers: our TURN servers are asked');
  expect(events).toContain(
    `the TURN server ${TURN_HOST}:3478 gives no address: the quota of allocations is used up`,
  );
  expect(at.ports[0].path).toBeNull();
  close(at);
});

test('ChannelData of a stranger is counted and changes nothing', async () => {
  const at = await world();
  await vi.advanceTimersByTimeAsync(3_000);
  const data = Uint8Array.from([0x40, 0, 0, 60, ...new Array(60).fill(0xc2)]);
  expect(isChannelData(data)).toBe(true);
  const before = at.nodes[0].counters.direct_unknown_stun;
  at.ports[0].control(data, { ip: '203.0.113.99', port: 3478 });
  expect(at.nodes[0].counters.direct_unknown_stun).toBe(before + 1);
  close(at);
});
