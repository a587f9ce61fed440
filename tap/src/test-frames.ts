/** Builders of frames for tests: correct by default, in fields that a test may spoil. */
import { foldSum, sumWords } from './checksum.ts';

export const MAC_A = Uint8Array.of(0x02, 0, 0, 0, 0, 0x0a);
export const MAC_B = Uint8Array.of(0x02, 0, 0, 0, 0, 0x0b);
export const MAC_SELF = Uint8Array.of(0x02, 0, 0, 0, 0, 0x01);
export const BROADCAST = new Uint8Array(6).fill(0xff);
export const IP_A = Uint8Array.of(172, 31, 0, 10);
export const IP_B = Uint8Array.of(172, 31, 0, 11);
export const IP_SELF = Uint8Array.of(172, 31, 0, 1);
export const IP6_A = ip6(0xfd00, 0x0a);
export const IP6_B = ip6(0xfd00, 0x0b);
export const IP6_LINK_LOCAL = ip6(0xfe80, 0x0c);

/** An IPv6 address of a first and a last group, zero between them. */
export function ip6(first: number, last: number): Uint8Array {
  const address = new Uint8Array(16);
  address.set([first >> 8, first & 0xff]);
  address.set([last >> 8, last & 0xff], 14);
  return address;
}

export interface EthernetFields {
  readonly to?: Uint8Array;
  readonly from?: Uint8Array;
  readonly type: number;
  /** TPIDs of VLAN tags, outermost first; all with VLAN 0. */
  readonly tags?: readonly number[];
  readonly payload: Uint8Array;
}

export function ethernet(fields: EthernetFields): Uint8Array {
  const tags = (fields.tags ?? []).flatMap((tpid) => [tpid >> 8, tpid & 0xff, 0, 0]);
  const type = [fields.type >> 8, fields.type & 0xff];
  return Uint8Array.from([
    ...(fields.to ?? MAC_SELF),
    ...(fields.from ?? MAC_A),
    ...tags,
    ...type,
    ...fields.payload,
  ]);
}

/** An IPv4 packet with a payload of `payloadBytes` zeros; the checksum is left out, nobody here looks at it. */
export function ip4Packet(from: Uint8Array, to: Uint8Array = IP_SELF, payloadBytes = 8): Uint8Array {
  const total = 20 + payloadBytes;
  const packet = new Uint8Array(total);
  packet.set([0x45, 0, total >> 8, total & 0xff, 0, 0, 0, 0, 64, 17]);
  packet.set(from, 12);
  packet.set(to, 16);
  return packet;
}

export function ip6Packet(from: Uint8Array, nextHeader: number, payload: Uint8Array): Uint8Array {
  const packet = new Uint8Array(40 + payload.length);
  packet.set([0x60, 0, 0, 0, payload.length >> 8, payload.length & 0xff, nextHeader, 255]);
  packet.set(from, 8);
  packet.set(IP6_B, 24);
  packet.set(payload, 40);
  return packet;
}

export function neighbourAdvertisement(target: Uint8Array): Uint8Array {
  return Uint8Array.from([136, 0, 0, 0, 0x60, 0, 0, 0, ...target]);
}

/** An extension header of 8 bytes in front of a payload. */
export function withExtensionHeader(nextHeader: number, payload: Uint8Array): Uint8Array {
  return Uint8Array.from([nextHeader, 0, 1, 4, 0, 0, 0, 0, ...payload]);
}

export function arp(senderMac: Uint8Array, senderIp: Uint8Array): Uint8Array {
  const header = [0, 1, 8, 0, 6, 4, 0, 1];
  return Uint8Array.from([...header, ...senderMac, ...senderIp, 0, 0, 0, 0, 0, 0, ...IP_SELF]);
}

/** An IPv6 neighbour solicitation from MAC_SELF (RFC 4861 §4.3), its checksum right, to the target's solicited-node group unless `to` says else. */
export function solicitation(
  from: Uint8Array,
  target: Uint8Array,
  { to, option }: { readonly to?: Uint8Array; readonly option?: number } = {},
): Uint8Array {
  const group = Uint8Array.from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ...target.subarray(13)]);
  const isDetection = from.every((byte) => byte === 0);
  // Source MAC, unless there is nobody to answer to; a nonce (RFC 7527) then.
  const message = [135, 0, 0, 0, 0, 0, 0, 0, ...target, option ?? (isDetection ? 14 : 1), 1, ...MAC_SELF];
  const packet = Uint8Array.from([
    0x60,
    0,
    0,
    0,
    0,
    message.length,
    58,
    255,
    ...from,
    ...(to ?? group),
    ...message,
  ]);
  const sum = ~foldSum(sumWords(packet, 8, 32) + message.length + 58 + sumWords(packet, 40, message.length));
  packet.set([(sum >> 8) & 0xff, sum & 0xff], 42);
  return ethernet({
    to: Uint8Array.from([0x33, 0x33, ...group.subarray(12)]),
    from: MAC_SELF,
    type: 0x86dd,
    payload: packet,
  });
}
