import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KIND_IP4, KIND_IP6 } from './addresses.ts';
import { corpus } from './corpus.ts';
import { type FrameClaims, inspectFrame, newFrameClaims } from './frame.ts';
import {
  arp,
  ethernet,
  IP_A,
  IP6_A,
  IP6_B,
  IP6_LINK_LOCAL,
  ip4Packet,
  ip6Packet,
  MAC_B,
  neighbourAdvertisement,
  withExtensionHeader,
} from './test-frames.ts';

const IPV4 = 0x0800;
const ARP = 0x0806;
const IPV6 = 0x86dd;
const ICMP6 = 58;

/** Inspects the frame in the middle of a buffer whose other bytes would make it look valid if it were read past its ends. */
function inspect(frame: Uint8Array): { isSound: boolean; claims: FrameClaims; data: Uint8Array } {
  const offset = 24;
  const data = new Uint8Array(offset + frame.length + 64).fill(0x45);
  data.set(frame, offset);
  const claims = newFrameClaims();
  const isSound = inspectFrame(data, offset, frame.length, claims);
  return { isSound, claims, data };
}

test('finds the source of an IPv4 packet, bare and inside one VLAN tag', () => {
  for (const tags of [[], [0x8100], [0x88a8]]) {
    const { isSound, claims, data } = inspect(ethernet({ type: IPV4, tags, payload: ip4Packet(IP_A) }));
    expect(isSound).toBe(true);
    expect(claims.ipKind).toBe(KIND_IP4);
    expect(data.subarray(claims.ipAt, claims.ipAt + 4)).toEqual(IP_A);
    expect([claims.arpMacAt, claims.advertisedAt]).toEqual([-1, -1]);
  }
});

test('finds the source of an IPv6 packet', () => {
  const { isSound, claims, data } = inspect(
    ethernet({ type: IPV6, payload: ip6Packet(IP6_A, 17, new Uint8Array(8)) }),
  );
  expect(isSound).toBe(true);
  expect(claims.ipKind).toBe(KIND_IP6);
  expect(data.subarray(claims.ipAt, claims.ipAt + 16)).toEqual(IP6_A);
});

test('finds both sender addresses of an ARP message', () => {
  const { isSound, claims, data } = inspect(ethernet({ type: ARP, payload: arp(MAC_B, IP_A) }));
  expect(isSound).toBe(true);
  expect(data.subarray(claims.arpMacAt, claims.arpMacAt + 6)).toEqual(MAC_B);
  expect(data.subarray(claims.ipAt, claims.ipAt + 4)).toEqual(IP_A);
});

test('finds the target of a neighbour advertisement, also behind extension headers', () => {
  const advertisement = neighbourAdvertisement(IP6_B);
  const behindOptions = withExtensionHeader(60, withExtensionHeader(ICMP6, advertisement));
  for (const [next, payload] of [
    [ICMP6, advertisement],
    [0, behindOptions],
  ] as const) {
    const { isSound, claims, data } = inspect(
      ethernet({ type: IPV6, payload: ip6Packet(IP6_LINK_LOCAL, next, payload) }),
    );
    expect(isSound).toBe(true);
    expect(data.subarray(claims.advertisedAt, claims.advertisedAt + 16)).toEqual(IP6_B);
  }
});

test('refuses a chain of extension headers that no stack sends', () => {
  let payload: Uint8Array = neighbourAdvertisement(IP6_B);
  let next = ICMP6;
  for (let count = 0; count < 9; count++) {
    payload = withExtensionHeader(next, payload);
    next = 60;
  }
  expect(inspect(ethernet({ type: IPV6, payload: ip6Packet(IP6_A, next, payload) })).isSound).toBe(false);
});

test('refuses stacked VLAN tags, which could carry a packet past inspection', () => {
  expect(inspect(ethernet({ type: IPV4, tags: [0x8100, 0x8100], payload: ip4Packet(IP_A) })).isSound).toBe(
    false,
  );
  expect(inspect(ethernet({ type: IPV4, tags: [0x88a8, 0x8100], payload: ip4Packet(IP_A) })).isSound).toBe(
    false,
  );
});

test('other payloads pass and claim nothing', () => {
  const { isSound, claims } = inspect(ethernet({ type: 0x88cc, payload: new Uint8Array(3) }));
  expect(isSound).toBe(true);
  expect(claims).toEqual(newFrameClaims());
});

test('a frame cut anywhere inside what it must hold is malformed', () => {
  const frames = [
    ethernet({ type: IPV4, tags: [0x8100], payload: ip4Packet(IP_A) }),
    ethernet({ type: IPV6, payload: ip6Packet(IP6_A, ICMP6, neighbourAdvertisement(IP6_B)) }),
    ethernet({ type: ARP, payload: arp(MAC_B, IP_A) }),
  ];
  for (const frame of frames) {
    expect(inspect(frame).isSound).toBe(true);
    for (let length = 0; length < frame.length; length++) {
      expect(inspect(frame.subarray(0, length)).isSound).toBe(false);
    }
  }
});

test('padding behind a packet, as short Ethernet frames have it, is accepted', () => {
  const payload = new Uint8Array(46);
  payload.set(ip4Packet(IP_A));
  expect(inspect(ethernet({ type: IPV4, payload })).isSound).toBe(true);
});

test.each(corpus)('$name', ({ frame, isSound }) => {
  expect(inspect(frame).isSound).toBe(isSound);
});

test('whatever comes, claims lie inside the frame and nothing throws', () => {
  const type = fc.constantFrom(IPV4, ARP, IPV6, 0x8100, 0x88a8, 0x0000, 0xffff);
  const tags = fc.array(fc.constantFrom(0x8100, 0x88a8), { maxLength: 3 });
  const packet = fc.oneof(
    fc.uint8Array({ maxLength: 120 }),
    // Nearly right: a valid packet with some bytes changed
    fc
      .tuple(
        fc.constantFrom(
          ip4Packet(IP_A),
          arp(MAC_B, IP_A),
          ip6Packet(IP6_A, 0, withExtensionHeader(ICMP6, neighbourAdvertisement(IP6_B))),
        ),
        fc.array(fc.tuple(fc.nat(70), fc.nat(255)), { maxLength: 4 }),
      )
      .map(([base, changes]) => {
        const bytes = Uint8Array.from(base);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes;
      }),
  );
  fc.assert(
    fc.property(type, tags, packet, fc.nat(20), (etherType, vlanTags, payload, cut) => {
      const whole = ethernet({ type: etherType, tags: vlanTags, payload });
      const frame = whole.subarray(0, Math.max(0, whole.length - cut));
      const { isSound, claims } = inspect(frame);
      if (!isSound) return;
      const end = 24 + frame.length;
      const spans: [number, number][] = [
        [claims.ipAt, claims.ipKind === KIND_IP4 ? 4 : claims.ipKind === KIND_IP6 ? 16 : 0],
        [claims.arpMacAt, 6],
        [claims.advertisedAt, 16],
      ];
      expect(claims.ipAt >= 0).toBe(claims.ipKind !== 0);
      for (const [at, bytes] of spans) {
        if (at < 0) continue;
        expect(at).toBeGreaterThanOrEqual(24 + 14);
        expect(at + bytes).toBeLessThanOrEqual(end);
      }
    }),
    { numRuns: 3000 },
  );
});
