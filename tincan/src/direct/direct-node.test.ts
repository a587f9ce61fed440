import { createLogger } from '@kith/base';
import { type DirectControl, type IceServer, readDatagramHeader } from '@kith/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { DirectCarrier } from './direct-carrier.ts';
import { DirectNode } from './direct-node.ts';
import { FakePort, type FakeWire } from './fake-port.test.helper.ts';
import type { LocalAddress } from './local-addresses.ts';

const LINK = 3;
const UIDS = ['a'.repeat(40), 'b'.repeat(40)] as const;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

class Host {
  readonly port: FakePort;
  readonly node: DirectNode;
  addresses: LocalAddress[];
  /** Addresses to which this host's routes lead through the network. */
  readonly inside = new Set<string>();
  carrier: DirectCarrier | undefined;

  constructor(at: { ip: string; aes?: boolean }, uid: string, wire: FakeWire, ports: FakePort[]) {
    this.port = new FakePort({ ip: at.ip, port: 5801 }, wire, ports);
    this.addresses = [{ interface: 'eth0', ip: at.ip, mtu: 1500 }];
    this.node = new DirectNode({
      port: this.port,
      me: uid,
      ownInterface: 'kith0',
      isOverlay: (ip) => ip.startsWith('172.31.') || this.inside.has(ip),
      aes: at.aes ?? true,
      log: createLogger('test', 'silent'),
      clock: () => performance.now(),
      readAddresses: () => this.addresses,
      resolve: (host) => Promise.resolve([host]),
    });
  }
}

interface World {
  a: Host;
  b: Host;
  wire: FakeWire & { mtu: number; isCut: boolean };
  /** Sends a datagram each 10 ms both ways for so long; gives how many had to go by channel. */
  talk(ms: number): number;
}

function world(
  options: { plain?: [boolean, boolean]; aes?: [boolean, boolean]; ice?: IceServer[] } = {},
): World {
  const wire = {
    delay: 5,
    mtu: 1500,
    isCut: false,
    passes: (_from: unknown, _to: unknown, bytes: number) => !wire.isCut && bytes + 28 <= wire.mtu,
  };
  const ports: FakePort[] = [];
  const hosts = [
    new Host({ ip: '192.0.2.1', aes: options.aes?.[0] ?? true }, UIDS[0], wire, ports),
    new Host({ ip: '192.0.2.2', aes: options.aes?.[1] ?? true }, UIDS[1], wire, ports),
  ] as const;
  const [a, b] = hosts;
  const connect = (which: 0 | 1): DirectCarrier =>
    hosts[which].node.open({
      link: LINK,
      peer: UIDS[which === 0 ? 1 : 0],
      peerOverlay: [],
      attempt: 1,
      plain: options.plain?.[which] ?? false,
      iceServers: options.ice ?? [],
      peerKnowsRelays: true,
      tookMs: 200,
      slowdown: 1,
      channelRtt: () => null,
      channelHeardAt: () => performance.now(),
      // The control channel is slower than the wire, ordered and reliable.
      send: (message: DirectControl) => {
        setTimeout(() => hosts[which === 0 ? 1 : 0].carrier?.receiveControl(message), 20);
      },
    });
  a.carrier = connect(0);
  b.carrier = connect(1);
  let byChannel = 0;
  /** Data in both directions; gives how many of its frames had no path. */
  const talk = (ms: number): number => {
    const before = byChannel;
    for (let passed = 0; passed < ms; passed += 10) {
      for (const host of hosts) if (!host.port.sendData(LINK)) byChannel++;
      vi.advanceTimersByTime(10);
      if (passed % 250 === 0) for (const host of hosts) host.carrier?.poll(byChannel);
    }
    return byChannel - before;
  };
  return { a, b, wire, talk };
}

test('two nodes agree on keys, find a path at its full size, and no datagram of it fails to open through three rekeys', () => {
  const { a, b, talk } = world();
  const keysTaken = vi.spyOn(a.port, 'setSender');
  vi.advanceTimersByTime(1_000);
  for (const host of [a, b]) {
    expect(host.port.links.get(LINK)?.path).toMatchObject({ port: 5801, datagramBytes: 1472 });
  }
  expect(talk(400_000)).toBe(0);
  expect([a.port.unopened, b.port.unopened]).toEqual([0, 0]);
  expect(b.port.opened).toBeGreaterThan(39_000);
  expect(keysTaken.mock.calls.length).toBeGreaterThanOrEqual(3);
  expect(keysTaken.mock.calls.map(([, , keys]) => keys.mode)).not.toContain('plain');
  a.node.close();
  b.node.close();
});

test('key material handed to the data plane is wiped in our memory', () => {
  const { a } = world();
  vi.advanceTimersByTime(1_000);
  const keys = a.port.lastKeys;
  expect(keys?.mode).toBe('sealed');
  if (keys?.mode === 'sealed') expect([...keys.key, ...keys.fixedIv].every((byte) => byte === 0)).toBe(true);
});

test('plain only when both ends are content, and the report says what carries now', () => {
  const both = world({ plain: [true, true] });
  vi.advanceTimersByTime(1_000);
  expect(both.a.carrier?.report()).toMatchObject({ plain: true, path: { ip: '192.0.2.2' } });
  expect([...both.a.port.receivers.values()][0]?.keys).toMatch(/^plain /);
  both.a.node.close();
  both.b.node.close();
  const one = world({ plain: [true, false], aes: [true, false] });
  vi.advanceTimersByTime(1_000);
  for (const host of [one.a, one.b]) {
    expect(host.carrier?.report().plain).toBe(false);
    expect([...host.port.receivers.values()][0]?.keys).toMatch(/^chacha20-poly1305 /);
  }
});

test('what a node says to everybody, as kernels do now and then, leaves an idle link as calm as it was', () => {
  const { a, b } = world();
  const probesOf = (frame: () => void): number => {
    a.port.sentControl = [];
    for (let passed = 0; passed < 60_000; passed += 250) {
      if (passed % 10_000 === 0) frame();
      vi.advanceTimersByTime(250);
      for (const host of [a, b]) host.carrier?.poll(0);
    }
    return a.port.sentControl.length;
  };
  vi.advanceTimersByTime(20_000);
  const silent = probesOf(() => undefined);
  const group = probesOf(() => a.port.sendData(LINK, true));
  const flowing = probesOf(() => a.port.sendData(LINK));
  expect(b.port.opened).toBe(12);
  expect(Math.abs(group - silent)).toBeLessThan(6);
  expect(flowing).toBeGreaterThan(2 * silent);
});

test('a cut costs at most 3 s of data, the channel carries meanwhile, and the path comes back', () => {
  const { a, wire, talk } = world();
  vi.advanceTimersByTime(2_000);
  wire.isCut = true;
  talk(3_000);
  expect(a.port.links.get(LINK)?.path).toBeNull();
  expect(a.carrier?.report().path).toBeNull();
  wire.isCut = false;
  talk(7_000);
  expect(a.port.links.get(LINK)?.path).not.toBeNull();
  expect(talk(1_000)).toBe(0);
});

test('an address that comes to be routed through the network is left within 3 s, not answered, and taken again later', () => {
  const { a, b, talk } = world();
  vi.advanceTimersByTime(2_000);
  expect(a.carrier?.report().path).not.toBeNull();
  a.inside.add('192.0.2.2');
  talk(3_000);
  for (const host of [a, b]) expect(host.carrier?.report().path).toBeNull();
  talk(30_000);
  for (const host of [a, b]) expect(host.carrier?.report().path).toBeNull();
  a.inside.clear();
  talk(10_000);
  for (const host of [a, b]) expect(host.carrier?.report().path).not.toBeNull();
});

test('a black hole for full-size datagrams costs at most 3 s', () => {
  const { a, wire, talk } = world();
  vi.advanceTimersByTime(2_000);
  wire.mtu = 1400;
  talk(3_000);
  expect(a.port.links.get(LINK)?.path).toMatchObject({ datagramBytes: 1372 });
});

test('a node that moves is followed by its data within a second, and tells its new address', () => {
  const { a, b, talk } = world();
  vi.advanceTimersByTime(2_000);
  b.port.address = { ip: '198.51.100.77', port: 5801 };
  b.addresses = [{ interface: 'wlan0', ip: '198.51.100.77', mtu: 1500 }];
  talk(1_000);
  expect(a.port.links.get(LINK)?.path).toMatchObject({ ip: '198.51.100.77' });
  expect(talk(5_000)).toBe(0);
});

test('a failed send that says there is no route ends the path at once', () => {
  const { a } = world();
  vi.advanceTimersByTime(2_000);
  a.port.pathError(LINK, 'ENETUNREACH');
  expect(a.port.links.get(LINK)?.path).toBeNull();
  expect(a.carrier?.report().events.map(({ what }) => what)).toContain('sending fails with ENETUNREACH');
});

test('forged, replayed and strange datagrams change nothing, are counted, and are never answered', () => {
  const { a, b } = world();
  vi.advanceTimersByTime(2_000);
  const stranger = { ip: '203.0.113.66', port: 6666 };
  const genuine = b.port.sentControl.filter((data) => data[0] === 0xc2).at(-1) ?? new Uint8Array(0);
  expect(readDatagramHeader(genuine)).toBeDefined();
  const before = a.port.sentControl.length;
  a.port.inject(genuine, stranger);
  for (let at = 4; at < genuine.length; at++) {
    const forged = Uint8Array.from(genuine);
    forged[at] = (forged[at] ?? 0) ^ 1;
    a.port.inject(forged, stranger);
  }
  for (const bytes of [[], [0xc2], [0xff], [0, 1, 0, 0], Array.from({ length: 40 }, () => 0xc3)]) {
    a.port.inject(Uint8Array.from(bytes), stranger);
  }
  vi.advanceTimersByTime(0);
  expect(a.port.sentControl.length).toBe(before);
  const report = a.carrier?.report();
  expect(report?.counters.probes_replayed).toBe(1);
  expect(report?.counters.probes_forged).toBeGreaterThan(40);
  expect(a.node.counters.direct_unknown_datagrams).toBeGreaterThan(4);
  expect(report?.path).toMatchObject({ ip: '192.0.2.2' });
});

test("the address that a STUN server sees is told to the peer, and requests come from the carrier's own socket", async () => {
  const { a, b } = world({ ice: [{ type: 'stun', host: '203.0.113.3', port: 3478 }] });
  await vi.advanceTimersByTimeAsync(10);
  const request = a.port.sentControl.find((data) => data[0] === 0);
  if (request === undefined) expect.unreachable();
  // A success response with XOR-MAPPED-ADDRESS 198.51.100.9:7000 (RFC 8489 §14.2), without a FINGERPRINT.
  const response = new Uint8Array(32);
  const view = new DataView(response.buffer);
  view.setUint16(0, 0x0101);
  view.setUint16(2, 12);
  response.set(request.subarray(4, 20), 4);
  view.setUint32(20, 0x0020_0008);
  view.setUint32(24, 0x0001_0000 | (7_000 ^ 0x2112));
  view.setUint32(28, ((198 << 24) | (51 << 16) | (100 << 8) | 9) ^ 0x2112_a442);
  a.port.inject(response, { ip: '203.0.113.4', port: 3478 });
  expect(a.node.counters.direct_unknown_stun).toBe(1);
  a.port.inject(response, { ip: '203.0.113.3', port: 3478 });
  await vi.advanceTimersByTimeAsync(500);
  const probed = b.port.sentControl.length;
  expect(probed).toBeGreaterThan(0);
  expect(b.carrier?.report().path).toMatchObject({ ip: '192.0.2.1' });
  // The mapped address does not answer, but is tried.
  const seen: string[] = [];
  const send = b.port.sendControl.bind(b.port);
  b.port.sendControl = (ip, port, data) => {
    seen.push(`${ip}:${port}`);
    return send(ip, port, data);
  };
  await vi.advanceTimersByTimeAsync(7_000);
  expect(seen).toContain('198.51.100.9:7000');
});

test('where a router lets us in is told to the peer, and tried', async () => {
  const { a, b } = world();
  vi.advanceTimersByTime(2_000);
  const tried = new Set<string>();
  const send = b.port.sendControl.bind(b.port);
  b.port.sendControl = (ip, port, data) => {
    tried.add(`${ip}:${port}`);
    return send(ip, port, data);
  };
  a.node.setRouterMapping({ ip: '198.51.100.9', port: 5_801 });
  vi.advanceTimersByTime(1_000);
  expect(tried).toContain('198.51.100.9:5801');
  a.node.setRouterMapping(null);
  vi.advanceTimersByTime(1_000);
  tried.clear();
  vi.advanceTimersByTime(30_000);
  expect(tried).not.toContain('198.51.100.9:5801');
});

test('closing leaves no timer, no receiver and no link', () => {
  const { a, b } = world();
  vi.advanceTimersByTime(2_000);
  a.node.close();
  b.node.close();
  expect([a.port.receivers.size, a.port.links.size]).toEqual([0, 0]);
  vi.advanceTimersByTime(100);
  expect(vi.getTimerCount()).toBe(0);
});
