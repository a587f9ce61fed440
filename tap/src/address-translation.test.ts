import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AddressTranslation } from './address-translation.ts';
import { BROADCAST, MAC_A } from './test-frames.ts';
import { framed, ICMP, type PacketShape, packet, TCP, UDP } from './test-translated-frames.ts';
import { VIRTIO_HEADER_BYTES } from './virtio-header.ts';

const IPV4 = 0x0800;
const ARP = 0x0806;

/** Both ends have the same address of their own, as two nodes with the same subnet may. */
const REMOTE = Uint8Array.of(172, 31, 0, 1);
const LOCAL = Uint8Array.of(172, 31, 0, 1);
/** What this node calls the other, and what the other calls this node. */
const MAPPED = Uint8Array.of(172, 31, 7, 9);
const CALLED = Uint8Array.of(172, 31, 250, 3);
const FIELDS = { remote: REMOTE, source: MAPPED, destination: LOCAL };

/** Translates what stands behind some other bytes. */
function translate(frame: Uint8Array, fields = FIELDS): { isAllowed: boolean; frame: Uint8Array } {
  const lead = 24;
  const data = new Uint8Array(lead + frame.length + 8).fill(0x45);
  data.set(frame, lead);
  const translation = new AddressTranslation(fields);
  const isAllowed = translation.apply(data, lead + VIRTIO_HEADER_BYTES, frame.length - VIRTIO_HEADER_BYTES);
  expect([...data.subarray(0, lead), ...data.subarray(lead + frame.length)]).toEqual(
    Array(lead + 8).fill(0x45),
  );
  return { isAllowed, frame: data.slice(lead, lead + frame.length) };
}

const address = fc.uint8Array({ minLength: 4, maxLength: 4 });
const transport = fc.record({
  protocol: fc.constantFrom(TCP, UDP, 132),
  options: fc.integer({ min: 0, max: 10 }),
  fragmentOffset: fc.constantFrom(0, 0, 0, 1, 185),
  sum: fc.constantFrom<PacketShape['sum']>('complete', 'partial', 'none'),
  payload: fc.uint8Array({ maxLength: 80 }),
});
const echo: fc.Arbitrary<PacketShape> = transport.map((shape) => ({ ...shape, protocol: ICMP }));
/** RFC 792 quotes the IP header and 8 bytes, RFC 1812 as much as fits; nobody cuts inside a field. */
const error: fc.Arbitrary<PacketShape> = fc
  .tuple(echo, fc.oneof(transport, echo), fc.integer({ min: 10, max: 100 }))
  .map(([shape, quoted, words]) => ({
    ...shape,
    payload: new Uint8Array(),
    quote: { shape: { ...quoted, sum: 'complete' as const }, bytes: words * 2 },
  }));
const shape = fc.oneof(transport, echo, error);

test('comes to what building the packet with the new addresses comes to, checksum by checksum', () => {
  fc.assert(
    fc.property(
      shape,
      fc.boolean(),
      address,
      address,
      address,
      address,
      (packetShape, hasVlan, remote, source, called, destination) => {
        const isPartial = packetShape.sum === 'partial';
        const quoteOf = (from: Uint8Array, to: Uint8Array) => ({ from, to });
        const before = packet(packetShape, { from: remote, to: called }, quoteOf(called, remote));
        const after = packet(packetShape, { from: source, to: destination }, quoteOf(destination, source));
        const result = translate(framed(IPV4, before, isPartial, hasVlan), { remote, source, destination });
        expect(result.isAllowed).toBe(true);
        expect(result.frame).toEqual(framed(IPV4, after, isPartial, hasVlan));
      },
    ),
    { numRuns: 3_000 },
  );
});

test.each([IPV4, ARP])(
  'a source that is not the other end changes nothing and is refused (%i)',
  (etherType) => {
    const payload =
      etherType === ARP
        ? arp(2, Uint8Array.of(172, 31, 0, 2), CALLED)
        : packet(PLAIN, { from: Uint8Array.of(172, 31, 0, 2), to: CALLED });
    const frame = framed(etherType, payload, false, false);
    expect(translate(frame)).toEqual({ isAllowed: false, frame });
  },
);

const PLAIN: PacketShape = {
  protocol: UDP,
  options: 0,
  fragmentOffset: 0,
  sum: 'complete',
  payload: new Uint8Array(9),
};

test('a frame to a group keeps its destination', () => {
  const group = Uint8Array.of(224, 0, 0, 251);
  const frame = framed(IPV4, packet(PLAIN, { from: REMOTE, to: group }), false, false);
  frame.set(BROADCAST, VIRTIO_HEADER_BYTES);
  const expected = framed(IPV4, packet(PLAIN, { from: MAPPED, to: group }), false, false);
  expected.set(BROADCAST, VIRTIO_HEADER_BYTES);
  expect(translate(frame).frame).toEqual(expected);
});

test('the quote of an error about a packet that was not sent to the other end stays as it is', () => {
  const quote = { shape: PLAIN, bytes: 40 };
  const shapeOfError: PacketShape = { ...PLAIN, protocol: ICMP, quote };
  const strangers = { from: CALLED, to: Uint8Array.of(10, 0, 0, 1) };
  const frame = framed(IPV4, packet(shapeOfError, { from: REMOTE, to: CALLED }, strangers), false, false);
  const expected = framed(IPV4, packet(shapeOfError, { from: MAPPED, to: LOCAL }, strangers), false, false);
  expect(translate(frame).frame).toEqual(expected);
});

function arp(operation: number, senderIp: Uint8Array, targetIp: Uint8Array): Uint8Array {
  const header = [0, 1, 8, 0, 6, 4, 0, operation];
  return Uint8Array.from([...header, ...MAC_A, ...senderIp, 0, 0, 0, 0, 0, 0, ...targetIp]);
}

const NOBODY = new Uint8Array(4);
const STRANGER = Uint8Array.of(172, 31, 9, 9);
const REQUEST = 1;
const REPLY = 2;

test.each([
  { name: 'a request for us', op: REQUEST, from: [REMOTE, CALLED], to: [MAPPED, LOCAL], called: CALLED },
  { name: 'a request, our name unknown', op: REQUEST, from: [REMOTE, STRANGER], to: [MAPPED, LOCAL] },
  { name: 'one for another', op: REQUEST, from: [REMOTE, STRANGER], to: [MAPPED, STRANGER], called: CALLED },
  { name: 'a reply', op: REPLY, from: [REMOTE, CALLED], to: [MAPPED, LOCAL], called: CALLED },
  { name: 'an announcement', op: REQUEST, from: [REMOTE, REMOTE], to: [MAPPED, MAPPED] },
  { name: 'a probe', op: REQUEST, from: [NOBODY, REMOTE], to: [NOBODY, MAPPED] },
])('ARP: $name', ({ op, from, to, called }) => {
  const [sender = NOBODY, target = NOBODY] = from;
  const [newSender = NOBODY, newTarget = NOBODY] = to;
  const fields = called === undefined ? FIELDS : { ...FIELDS, localMapped: called };
  const result = translate(framed(ARP, arp(op, sender, target), false, false), fields);
  const frame = framed(ARP, arp(op, newSender, newTarget), false, false);
  expect(result).toEqual({ isAllowed: true, frame });
});

test('IPv6, other protocols and what is cut short pass unchanged', () => {
  for (const etherType of [0x86dd, 0x88cc]) {
    const frame = framed(etherType, packet(PLAIN, { from: REMOTE, to: CALLED }), false, false);
    expect(translate(frame)).toEqual({ isAllowed: true, frame });
  }
  const whole = framed(IPV4, packet(PLAIN, { from: REMOTE, to: CALLED }), false, true);
  for (let length = VIRTIO_HEADER_BYTES; length < VIRTIO_HEADER_BYTES + 18 + 20; length++) {
    const frame = whole.slice(0, length);
    expect(translate(frame)).toEqual({ isAllowed: true, frame });
  }
});

test('whatever comes, only bytes of the frame change', () => {
  fc.assert(
    fc.property(
      shape,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
      fc.nat(),
      (packetShape, spoils, cut) => {
        const frame = framed(
          IPV4,
          packet(packetShape, { from: REMOTE, to: CALLED }),
          packetShape.sum === 'partial',
          false,
        );
        for (const [at, value] of spoils) {
          const index = VIRTIO_HEADER_BYTES + (at % (frame.length - VIRTIO_HEADER_BYTES));
          frame[index] = value;
        }
        translate(frame.slice(0, VIRTIO_HEADER_BYTES + 14 + (cut % (frame.length - VIRTIO_HEADER_BYTES))));
      },
    ),
    { numRuns: 3_000 },
  );
});
