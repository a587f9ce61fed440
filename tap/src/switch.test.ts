import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { KIND_IP4, KIND_IP6, KIND_MAC, LINK_ALL, LINK_MEMBER, LINK_SELF } from './addresses.ts';
import { TAG_NEIGHBOUR } from './commands.ts';
import { Counters, EGRESS_COUNTERS, INGRESS_COUNTERS } from './counters.ts';
import { DROP, EgressSwitch, FLOOD_BURST } from './egress-switch.ts';
import { IngressSwitch } from './ingress-switch.ts';
import { AGEING_SECONDS, createTable, setLayer } from './table-layout.ts';
import {
  arp,
  BROADCAST,
  ethernet,
  IP_A,
  IP_B,
  IP_SELF,
  IP6_A,
  IP6_B,
  IP6_LINK_LOCAL,
  ip4Packet,
  ip6,
  ip6Packet,
  MAC_A,
  MAC_B,
  MAC_SELF,
  neighbourAdvertisement,
  solicitation,
} from './test-frames.ts';

const A = 1;
const B = 2;
const MTU = 1360;
const IPV4 = 0x0800;
const ARP = 0x0806;
const IPV6 = 0x86dd;
const UDP = 17;
const ICMP6 = 58;
/** A payload that claims no address. */
const OPAQUE = { type: 0x88cc, payload: new Uint8Array(8) };

let table: SharedArrayBuffer;
let ingress: IngressSwitch;
let egress: EgressSwitch;
let ingressCounters: Counters<(typeof INGRESS_COUNTERS)[number]>;
let egressCounters: Counters<(typeof EGRESS_COUNTERS)[number]>;

beforeEach(() => {
  table = createTable();
  ingressCounters = new Counters(INGRESS_COUNTERS);
  egressCounters = new Counters(EGRESS_COUNTERS);
  ingress = new IngressSwitch(table, ingressCounters);
  egress = new EgressSwitch(table, egressCounters, 0);
  ingress.bind(LINK_SELF, KIND_MAC, MAC_SELF, 0, 0);
  ingress.bind(LINK_SELF, KIND_IP4, IP_SELF, 0, 0);
});

function admit(link: number, frame: Uint8Array, nowSeconds = 0): boolean {
  return ingress.admit(link, frame, 0, frame.length, nowSeconds);
}

function route(to: Uint8Array, nowMs = 0): number {
  const frame = ethernet({ ...OPAQUE, to, from: MAC_SELF });
  return egress.route(frame, 0, frame.length, nowMs);
}

test('a frame teaches where its sender is', () => {
  expect(route(MAC_A)).toBe(LINK_ALL);
  expect(admit(A, ethernet(OPAQUE))).toBe(true);
  expect(ingressCounters.get('learned_macs')).toBe(1);
  expect(route(MAC_A)).toBe(A);
  ingress.unbindLink(A);
  expect(ingressCounters.get('learned_macs')).toBe(0);
  expect(route(MAC_A)).toBe(LINK_ALL);
});

test('broadcast and multicast go to all links without a limit, unknown unicast within its limit', () => {
  for (let count = 0; count < FLOOD_BURST; count++) {
    expect(route(MAC_B)).toBe(LINK_ALL);
    expect(route(BROADCAST)).toBe(LINK_ALL);
  }
  expect(route(MAC_B)).toBe(DROP);
  expect(egressCounters.get('dropped_flood_limited')).toBe(1);
  expect(route(BROADCAST)).toBe(LINK_ALL);
  expect(route(Uint8Array.of(0x33, 0x33, 0, 0, 0, 1))).toBe(LINK_ALL);
  expect(route(MAC_B, 1000)).toBe(LINK_ALL);
});

test('frames to this node itself, and runts, go nowhere', () => {
  expect(route(MAC_SELF)).toBe(DROP);
  expect(egressCounters.get('dropped_to_self')).toBe(1);
  expect(egress.route(MAC_A, 0, 6, 0)).toBe(DROP);
  expect(egressCounters.get('dropped_malformed')).toBe(1);
});

test('a source MAC of another link or of this node is dropped and counted, until it aged', () => {
  expect(admit(A, ethernet(OPAQUE))).toBe(true);
  expect(admit(B, ethernet(OPAQUE), AGEING_SECONDS - 1)).toBe(false);
  expect(admit(B, ethernet({ ...OPAQUE, from: MAC_SELF }))).toBe(false);
  expect(ingressCounters.get('dropped_spoofed_mac')).toBe(2);
  expect(admit(B, ethernet(OPAQUE), AGEING_SECONDS)).toBe(true);
  expect(route(MAC_A, AGEING_SECONDS * 1000)).toBe(B);
});

test('a bound MAC stays with its link for ever', () => {
  ingress.bind(A, KIND_MAC, MAC_A, 0, 0);
  expect(admit(B, ethernet(OPAQUE), 1e6)).toBe(false);
  expect(admit(A, ethernet(OPAQUE), 1e6)).toBe(true);
});

const VICTIM_FRAMES = [
  { name: 'IPv4', frame: () => ethernet({ from: MAC_B, type: IPV4, payload: ip4Packet(IP_A) }) },
  {
    name: 'IPv4 in a VLAN tag',
    frame: () => ethernet({ from: MAC_B, type: IPV4, tags: [0x8100], payload: ip4Packet(IP_A) }),
  },
  { name: 'ARP', frame: () => ethernet({ from: MAC_B, type: ARP, payload: arp(MAC_B, IP_A) }) },
  {
    name: 'ARP in a VLAN tag',
    frame: () => ethernet({ from: MAC_B, type: ARP, tags: [0x88a8], payload: arp(MAC_B, IP_A) }),
  },
  {
    name: 'IPv6',
    frame: () => ethernet({ from: MAC_B, type: IPV6, payload: ip6Packet(IP6_A, UDP, new Uint8Array(8)) }),
  },
  {
    name: 'a neighbour advertisement from a link-local address',
    frame: () =>
      ethernet({
        from: MAC_B,
        type: IPV6,
        payload: ip6Packet(IP6_LINK_LOCAL, ICMP6, neighbourAdvertisement(IP6_A)),
      }),
  },
];

test.each(VICTIM_FRAMES)(
  "another link's address in $name is dropped, counted, and teaches nothing",
  ({ frame }) => {
    ingress.bind(A, KIND_IP4, IP_A, 0, 0);
    ingress.bind(A, KIND_IP6, IP6_A, 0, 0);
    expect(admit(B, frame())).toBe(false);
    expect(ingressCounters.get('dropped_spoofed_ip')).toBe(1);
    expect(ingressCounters.get('learned_macs')).toBe(0);
    // The same bytes are fine from the owner, and from anyone once the owner is gone.
    expect(admit(A, frame())).toBe(true);
    ingress.unbindLink(A);
    expect(admit(B, frame())).toBe(true);
  },
);

test("this node's own IP address is nobody else's", () => {
  expect(admit(B, ethernet({ from: MAC_B, type: ARP, payload: arp(MAC_B, IP_SELF) }))).toBe(false);
  expect(ingressCounters.get('dropped_spoofed_ip')).toBe(1);
});

test("another link's MAC inside an ARP message is dropped", () => {
  ingress.bind(A, KIND_MAC, MAC_A, 0, 0);
  expect(admit(B, ethernet({ from: MAC_B, type: ARP, payload: arp(MAC_A, IP_B) }))).toBe(false);
  expect(ingressCounters.get('dropped_spoofed_mac')).toBe(1);
});

test('addresses that nobody owns pass from everyone and cannot be bound', () => {
  const zero = new Uint8Array(16);
  ingress.bind(A, KIND_IP4, zero, 0, 0);
  ingress.bind(A, KIND_IP6, zero, 0, 0);
  ingress.bind(A, KIND_IP6, IP6_LINK_LOCAL, 0, 0);
  ingress.bind(A, KIND_MAC, BROADCAST, 0, 0);
  expect(ingressCounters.get('refused_bindings')).toBe(4);
  expect(admit(B, ethernet({ from: MAC_B, type: ARP, payload: arp(MAC_B, zero.subarray(0, 4)) }))).toBe(true);
  expect(admit(B, ethernet({ from: MAC_B, type: IPV6, payload: ip6Packet(zero, UDP, zero) }))).toBe(true);
  expect(admit(B, ethernet({ from: MAC_B, type: IPV6, payload: ip6Packet(IP6_LINK_LOCAL, UDP, zero) }))).toBe(
    true,
  );
  expect(admit(B, ethernet({ from: MAC_B, type: IPV6, payload: ip6Packet(ip6(0xfebf, 1), UDP, zero) }))).toBe(
    true,
  );
});

test('the second claim to a bound address is refused and counted', () => {
  ingress.bind(A, KIND_IP6, IP6_B, 0, 0);
  ingress.bind(B, KIND_IP6, IP6_B, 0, 0);
  ingress.bind(B, KIND_IP4, IP_SELF, 0, 0);
  expect(ingressCounters.get('refused_bindings')).toBe(2);
});

test('impossible senders and truncated frames are dropped by name', () => {
  expect(admit(A, ethernet({ ...OPAQUE, from: BROADCAST }))).toBe(false);
  expect(admit(A, ethernet({ ...OPAQUE, from: new Uint8Array(6) }))).toBe(false);
  expect(admit(A, ethernet({ type: IPV4, payload: ip4Packet(IP_A).subarray(0, 19) }))).toBe(false);
  expect(ingressCounters.get('dropped_malformed')).toBe(3);
  expect(admit(A, ethernet({ ...OPAQUE, tags: [0x8100], payload: new Uint8Array(MTU) }))).toBe(true);
});

test('every frame that is not admitted is counted under exactly one name', () => {
  ingress.bind(A, KIND_IP4, IP_A, 0, 0);
  ingress.bind(A, KIND_MAC, MAC_A, 0, 0);
  const dropNames = INGRESS_COUNTERS.filter((name) => name.startsWith('dropped_'));
  const drops = (): number => dropNames.reduce((sum, name) => sum + ingressCounters.get(name), 0);
  const payload = fc.oneof(
    fc.constantFrom(
      ip4Packet(IP_A),
      ip4Packet(IP_B),
      arp(MAC_A, IP_B),
      arp(MAC_B, IP_A),
      ip6Packet(IP6_A, 0, IP6_B),
    ),
    fc.uint8Array({ maxLength: MTU + 30 }),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(A, B),
      fc.constantFrom(MAC_A, MAC_B, MAC_SELF, BROADCAST),
      fc.constantFrom(IPV4, ARP, IPV6, 0x8100),
      payload,
      fc.nat(60),
      (link, from, type, bytes, cut) => {
        const frame = ethernet({ from, type, payload: bytes });
        const before = drops();
        const isAdmitted = ingress.admit(link, frame, 0, Math.max(0, frame.length - cut), 0);
        expect(drops() - before).toBe(isAdmitted ? 0 : 1);
        if (isAdmitted) {
          expect(from).not.toBe(MAC_SELF);
          if (link === B) expect(from).not.toBe(MAC_A);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('an address that is kept may be sent from by nobody but the link that is bound to it, also in layer 2', () => {
  ingress.bind(LINK_MEMBER, KIND_IP4, IP_A, 0, 0);
  const packet = ethernet({ from: MAC_B, type: IPV4, payload: ip4Packet(IP_A, IP_SELF) });
  const reply = ethernet({ from: MAC_B, type: ARP, payload: arp(MAC_B, IP_A) });
  expect([admit(B, packet), admit(B, reply)]).toEqual([false, false]);
  expect(ingressCounters.get('dropped_spoofed_ip')).toBe(2);
  ingress.bind(A, KIND_IP4, IP_A, 0, 0);
  expect(admit(A, ethernet({ type: IPV4, payload: ip4Packet(IP_A, IP_SELF) }))).toBe(true);
  expect(admit(B, packet)).toBe(false);
});

test("a member's MAC leads to LINK_MEMBER until its link binds it, and the link takes it over", () => {
  ingress.bind(LINK_MEMBER, KIND_MAC, MAC_A, 0, 0);
  expect(route(MAC_A)).toBe(LINK_MEMBER);
  expect(admit(B, ethernet(OPAQUE))).toBe(false);
  ingress.bind(A, KIND_MAC, MAC_A, 0, 0);
  expect(route(MAC_A)).toBe(A);
  // What is no longer the member's is not taken from the link.
  ingress.unbind(LINK_MEMBER, KIND_MAC, MAC_A, 0);
  ingress.bind(LINK_MEMBER, KIND_MAC, MAC_A, 0, 0);
  expect(route(MAC_A)).toBe(A);
  ingress.unbindLink(A);
  ingress.bind(LINK_MEMBER, KIND_MAC, MAC_A, 0, 0);
  ingress.unbind(LINK_MEMBER, KIND_MAC, MAC_A, 0);
  expect(route(MAC_A)).toBe(LINK_ALL);
  expect(ingressCounters.get('refused_bindings')).toBe(1);
});

const IP_FRAME = { type: IPV4, payload: ip4Packet(IP_SELF, IP_A) };

test.each([
  { name: 'broadcast', frame: ethernet({ ...IP_FRAME, to: BROADCAST, from: MAC_SELF }) },
  {
    name: 'multicast',
    frame: ethernet({ ...IP_FRAME, to: Uint8Array.of(1, 0, 0x5e, 0, 0, 1), from: MAC_SELF }),
  },
  { name: 'not_ip', frame: ethernet({ ...OPAQUE, to: MAC_A, from: MAC_SELF }) },
  { name: 'foreign_mac', frame: ethernet({ ...IP_FRAME, to: MAC_A, from: MAC_B }) },
  { name: 'unknown', frame: ethernet({ ...IP_FRAME, to: MAC_B, from: MAC_SELF }) },
] as const)('in layer 3 $name is dropped and counted under its own name', ({ name, frame }) => {
  ingress.bind(A, KIND_MAC, MAC_A, 0, 0);
  setLayer(table, 3);
  expect(egress.route(frame, 0, frame.length, 0)).toBe(DROP);
  expect(egressCounters.get(`dropped_layer3_${name}`)).toBe(1);
  setLayer(table, 2);
  expect(egress.route(frame, 0, frame.length, 0)).not.toBe(DROP);
});

test('in layer 3 IP goes to the link or the member that has the MAC, and ARP and solicitations to the main thread', () => {
  setLayer(table, 3);
  ingress.bind(A, KIND_MAC, MAC_A, 0, 0);
  ingress.bind(LINK_MEMBER, KIND_MAC, MAC_B, 0, 0);
  const way = (frame: Uint8Array): number => egress.route(frame, 0, frame.length, 0);
  expect(way(ethernet({ ...IP_FRAME, to: MAC_A, from: MAC_SELF }))).toBe(A);
  expect(way(ethernet({ ...IP_FRAME, to: MAC_B, from: MAC_SELF }))).toBe(LINK_MEMBER);
  expect(
    way(ethernet({ type: IPV6, payload: ip6Packet(IP6_B, UDP, IP6_A), to: MAC_A, from: MAC_SELF })),
  ).toBe(A);
  expect(way(ethernet({ type: ARP, payload: arp(MAC_SELF, IP_SELF), to: BROADCAST, from: MAC_SELF }))).toBe(
    TAG_NEIGHBOUR,
  );
  expect(way(solicitation(IP6_B, IP6_A))).toBe(TAG_NEIGHBOUR);
});

test('in layer 3 a link may send IP from its own addresses to us, and nothing else', () => {
  setLayer(table, 3);
  ingress.bind(A, KIND_MAC, MAC_A, 0, 0);
  ingress.bind(A, KIND_IP4, IP_A, 0, 0);
  expect(admit(A, ethernet({ type: IPV4, payload: ip4Packet(IP_A) }))).toBe(true);
  expect(admit(A, ethernet({ type: IPV6, payload: ip6Packet(IP6_LINK_LOCAL, UDP, IP6_A) }))).toBe(true);
  expect(admit(A, ethernet({ type: IPV4, payload: ip4Packet(IP_B) }))).toBe(false);
  expect(ingressCounters.get('dropped_spoofed_ip')).toBe(1);
  expect(admit(A, ethernet({ from: MAC_B, type: IPV4, payload: ip4Packet(IP_A) }))).toBe(false);
  expect(ingressCounters.get('dropped_spoofed_mac')).toBe(1);
  for (const frame of [
    ethernet({ type: ARP, payload: arp(MAC_A, IP_A) }),
    ethernet({ to: BROADCAST, type: IPV4, payload: ip4Packet(IP_A) }),
    ethernet(OPAQUE),
  ]) {
    expect(admit(A, frame)).toBe(false);
  }
  expect(ingressCounters.get('dropped_not_layer3')).toBe(3);
});

test("translation is the link's own, refuses sources that are not the other end, and ends with the link", () => {
  const mapped = Uint8Array.of(172, 31, 0, 77);
  ingress.setTranslation(A, { remote: IP_SELF, source: mapped, destination: IP_SELF });
  const pass = (link: number, from: Uint8Array): { isAllowed: boolean; source: Uint8Array } => {
    const frame = Uint8Array.from([
      ...new Uint8Array(10),
      ...ethernet({ type: IPV4, payload: ip4Packet(from, IP_B) }),
    ]);
    const isAllowed = ingress.translate(link, frame, 10, frame.length - 10);
    return { isAllowed, source: frame.slice(10 + 26, 10 + 30) };
  };
  expect(pass(A, IP_SELF)).toEqual({ isAllowed: true, source: mapped });
  expect(pass(A, IP_B)).toEqual({ isAllowed: false, source: IP_B });
  expect(ingressCounters.get('dropped_spoofed_ip')).toBe(1);
  expect(pass(B, IP_B)).toEqual({ isAllowed: true, source: IP_B });
  ingress.unbindLink(A);
  expect(pass(A, IP_B)).toEqual({ isAllowed: true, source: IP_B });
});
