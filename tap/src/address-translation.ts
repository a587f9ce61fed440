import { foldSum } from './checksum.ts';
import { DESTINATION_AT, ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES } from './frame.ts';
import type { LinkTranslation } from './member.ts';
import { VIRTIO_HEADER_BYTES, VIRTIO_NEEDS_CSUM } from './virtio-header.ts';
import { putWord16, putWord32, word16, word32 } from './wire-bytes.ts';

const ETH_P_IP = 0x0800;
const ETH_P_ARP = 0x0806;
const ETH_P_8021Q = 0x8100;
const ETH_P_8021AD = 0x88a8;

// IPv4 (RFC 791 §3.1)
const IP4_HEADER_BYTES = 20;
const FRAGMENT_AT = 6;
const FRAGMENT_OFFSET_BITS = 0x1fff;
const PROTOCOL_AT = 9;
const HEADER_CHECKSUM_AT = 10;
const SOURCE_AT = 12;
const DESTINATION_IP_AT = 16;

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const TCP_CHECKSUM_AT = 16;
const UDP_CHECKSUM_AT = 6;

/** ICMP (RFC 792): a checksum at 2; an error quotes the packet that it is about from byte 8 on. */
const ICMP_CHECKSUM_AT = 2;
const ICMP_QUOTE_AT = 8;
// Destination unreachable, source quench, redirect, time exceeded, parameter problem
const ICMP_ERRORS = [3, 4, 5, 11, 12];

// ARP for Ethernet and IPv4 (RFC 826)
const ARP_SENDER_IP_AT = 14;
const ARP_TARGET_IP_AT = 24;
const ARP_BYTES = 28;

/**
 * Rewrites the IPv4 addresses of the frames of one link in place; see LinkTranslation. Checksums are corrected by the difference
 * (RFC 1624, equation 3), so that the payload is neither needed nor read, and what was wrong before stays wrong. Allocates nothing.
 */
export class AddressTranslation {
  readonly #remote: number;
  readonly #source: number;
  readonly #destination: number;
  /** Undefined: unknown. */
  readonly #localMapped: number | undefined;
  readonly #sourceChange: number;

  /** Addresses of 4 bytes. */
  constructor({ remote, source, destination, localMapped }: LinkTranslation) {
    this.#remote = word32(remote, 0);
    this.#source = word32(source, 0);
    this.#destination = word32(destination, 0);
    this.#localMapped = localMapped === undefined ? undefined : word32(localMapped, 0);
    this.#sourceChange = change(this.#remote, this.#source);
  }

  /**
   * Translates the frame at `offset`, of which `length` bytes stand together: at least all headers. The virtio header before it says
   * whether its transport checksum is still that of the pseudo-header alone. False when the sender used an address that is not its
   * own: then nothing was changed. What is not IPv4 or ARP, or is too malformed to have addresses, passes as it is.
   */
  apply(data: Uint8Array, offset: number, length: number): boolean {
    const end = offset + length;
    let at = offset + ETHERNET_HEADER_BYTES;
    if (at > end) return true;
    let etherType = word16(data, at - 2);
    if (etherType === ETH_P_8021Q || etherType === ETH_P_8021AD) {
      at += VLAN_TAG_BYTES;
      if (at > end) return true;
      etherType = word16(data, at - 2);
    }
    if (etherType === ETH_P_IP) return this.#translateIp4(data, offset, at, end);
    if (etherType === ETH_P_ARP) return this.#translateArp(data, at, end);
    return true;
  }

  #translateIp4(data: Uint8Array, offset: number, at: number, end: number): boolean {
    if (at + IP4_HEADER_BYTES > end) return true;
    const headerBytes = headerBytesOf(data, at);
    if (headerBytes === 0) return true;
    if (word32(data, at + SOURCE_AT) !== this.#remote) return false;
    putWord32(data, at + SOURCE_AT, this.#source);
    let changed = this.#sourceChange;
    // A frame to a group is to a group's address, which means the same on both sides.
    if (((data[offset + DESTINATION_AT] ?? 0) & 1) === 0) {
      changed += change(word32(data, at + DESTINATION_IP_AT), this.#destination);
      putWord32(data, at + DESTINATION_IP_AT, this.#destination);
    }
    correct(data, at + HEADER_CHECKSUM_AT, changed);
    // Only the first fragment has a transport header.
    if ((word16(data, at + FRAGMENT_AT) & FRAGMENT_OFFSET_BITS) !== 0) return true;
    const isPartial = ((data[offset - VIRTIO_HEADER_BYTES] ?? 0) & VIRTIO_NEEDS_CSUM) !== 0;
    const packetEnd = Math.min(end, at + word16(data, at + 2));
    const protocol = data[at + PROTOCOL_AT] ?? 0;
    if (protocol === ICMP) this.#translateIcmp(data, at + headerBytes, packetEnd);
    else correctTransport(data, at + headerBytes, packetEnd, protocol, changed, isPartial);
    return true;
  }

  /** In an error, the quoted packet is one that this node sent: from what the other end calls us to its own address. */
  #translateIcmp(data: Uint8Array, at: number, end: number): void {
    const quote = at + ICMP_QUOTE_AT;
    if (quote + IP4_HEADER_BYTES > end || !ICMP_ERRORS.includes(data[at] ?? 0)) return;
    const headerBytes = headerBytesOf(data, quote);
    if (headerBytes === 0 || word32(data, quote + DESTINATION_IP_AT) !== this.#remote) return;
    const changed = change(word32(data, quote + SOURCE_AT), this.#destination) + this.#sourceChange;
    putWord32(data, quote + SOURCE_AT, this.#destination);
    putWord32(data, quote + DESTINATION_IP_AT, this.#source);
    let total = changed + correct(data, quote + HEADER_CHECKSUM_AT, changed);
    if ((word16(data, quote + FRAGMENT_AT) & FRAGMENT_OFFSET_BITS) === 0) {
      total += correctTransport(
        data,
        quote + headerBytes,
        end,
        data[quote + PROTOCOL_AT] ?? 0,
        changed,
        false,
      );
    }
    correct(data, at + ICMP_CHECKSUM_AT, total);
  }

  #translateArp(data: Uint8Array, at: number, end: number): boolean {
    if (at + ARP_BYTES > end) return true;
    const sender = word32(data, at + ARP_SENDER_IP_AT);
    // A probe (RFC 5227 §1.1) comes from no address.
    if (sender !== this.#remote && sender !== 0) return false;
    if (sender !== 0) putWord32(data, at + ARP_SENDER_IP_AT, this.#source);
    const target = word32(data, at + ARP_TARGET_IP_AT);
    if (target === this.#remote) putWord32(data, at + ARP_TARGET_IP_AT, this.#source);
    else if (this.#localMapped === undefined || target === this.#localMapped) {
      putWord32(data, at + ARP_TARGET_IP_AT, this.#destination);
    }
    return true;
  }
}

/** What replacing one 32-bit word adds to the ones' complement sum over it. */
function change(from: number, to: number): number {
  return (~from & 0xffff) + ((~from >>> 16) & 0xffff) + (to & 0xffff) + (to >>> 16);
}

/** Corrects the checksum at `at` for what its range changed by; returns what that itself adds to a sum over it. */
function correct(data: Uint8Array, at: number, changed: number): number {
  const old = word16(data, at);
  const corrected = ~foldSum((~old & 0xffff) + changed) & 0xffff;
  putWord16(data, at, corrected);
  return (~old & 0xffff) + corrected;
}

/** As correct(), for the checksum of a TCP or UDP packet at `at`, if it has one and it is there. Other protocols know no addresses. */
function correctTransport(
  data: Uint8Array,
  at: number,
  end: number,
  protocol: number,
  changed: number,
  isPartial: boolean,
): number {
  if (protocol !== TCP && protocol !== UDP) return 0;
  const field = at + (protocol === TCP ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT);
  if (field + 2 > end) return 0;
  const old = word16(data, field);
  if (isPartial) {
    // The sum itself and not its complement: whoever completes it adds the rest.
    putWord16(data, field, foldSum(old + changed));
    return 0;
  }
  if (protocol === TCP) return correct(data, field, changed);
  // RFC 768: zero means that there is none, and a sum that comes out as zero is sent as ones.
  if (old === 0) return 0;
  correct(data, field, changed);
  if (word16(data, field) === 0) putWord16(data, field, 0xffff);
  return (~old & 0xffff) + word16(data, field);
}

/** Length of the IPv4 header at `at`; 0 when it is none. */
function headerBytesOf(data: Uint8Array, at: number): number {
  const versionAndLength = data[at] ?? 0;
  const bytes = (versionAndLength & 0x0f) * 4;
  return versionAndLength >> 4 === 4 && bytes >= IP4_HEADER_BYTES ? bytes : 0;
}
