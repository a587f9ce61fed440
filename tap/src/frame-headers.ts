import { foldSum, sumWords } from './checksum.ts';
import { ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES } from './frame.ts';
import { word16, word32 } from './wire-bytes.ts';

export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
/** In the TCP header (RFC 9293 §3.1). */
export const TCP_SEQUENCE_AT = 4;

// EtherTypes (IEEE 802 numbers, linux/if_ether.h)
const ETH_P_IP = 0x0800;
const ETH_P_8021Q = 0x8100;
const ETH_P_IPV6 = 0x86dd;
const ETH_P_8021AD = 0x88a8;
// IPv6 extension headers whose second byte counts their 8-byte units beyond the first (RFC 8200 §4)
const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION_OPTIONS = 60;

const IP4_HEADER_BYTES = 20;
const IP6_HEADER_BYTES = 40;
const TCP_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;
/** "More fragments" and the fragment offset (RFC 791 §3.1); "don't fragment" is left out. */
const FRAGMENT_BITS = 0x3fff;
/** TCP and UDP keep their checksums here in their headers. */
const TCP_CHECKSUM_AT = 16;
const UDP_CHECKSUM_AT = 6;
/** The last four bytes of the destination address in the IP headers. */
const IP4_DESTINATION_AT = 16;
const IP6_DESTINATION_AT = 36;
/** Any odd number: it keeps addresses and ports from cancelling each other out. */
const ADDRESS_FACTOR = 31;

/**
 * Headers repeat in every chunk, so that long ones would leave no room. Ethernet, a VLAN tag, IPv4 and TCP with all their options
 * make 138; the rest is for extension headers of IPv6.
 */
export const MAX_HEADER_BYTES = 256;

/** Where the headers of one TCP or UDP frame stand, relative to its first byte; filled anew by parse, so that nothing is allocated. */
export class FrameHeaders {
  isIp6 = false;
  /** PROTOCOL_TCP or PROTOCOL_UDP. */
  protocol = 0;
  networkAt = 0;
  transportAt = 0;
  /** Also the number of bytes of all headers together. */
  payloadAt = 0;

  /**
   * Reads the headers at `offset`, of which `length` bytes are there. False when they are not those of an unfragmented TCP or UDP
   * packet over IPv4 or IPv6 behind at most one VLAN tag, when they are cut short, or when they exceed MAX_HEADER_BYTES.
   * What the IP length fields say is not looked at.
   */
  parse(data: Uint8Array, offset: number, length: number): boolean {
    const end = Math.min(length, MAX_HEADER_BYTES);
    let at = ETHERNET_HEADER_BYTES;
    if (at > end) return false;
    let etherType = word16(data, offset + at - 2);
    if (etherType === ETH_P_8021Q || etherType === ETH_P_8021AD) {
      at += VLAN_TAG_BYTES;
      if (at > end) return false;
      etherType = word16(data, offset + at - 2);
    }
    this.networkAt = at;
    if (etherType === ETH_P_IP) return this.#parseIp4(data, offset, end);
    if (etherType === ETH_P_IPV6) return this.#parseIp6(data, offset, end);
    return false;
  }

  /** Where the transport checksum stands behind the transport header's first byte. */
  get checksumOffset(): number {
    return this.protocol === PROTOCOL_TCP ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT;
  }

  /** The folded sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1) for a packet of `transportBytes` from the transport header on. */
  pseudoSum(data: Uint8Array, offset: number, transportBytes: number): number {
    const addressesAt = offset + this.networkAt + (this.isIp6 ? 8 : 12);
    return foldSum(sumWords(data, addressesAt, this.isIp6 ? 32 : 8) + this.protocol + transportBytes);
  }

  /** Tells the flow from others of this machine, as a rule: 32 bits of its ports and of where it goes. */
  flowKey(data: Uint8Array, offset: number): number {
    const destinationAt = offset + this.networkAt + (this.isIp6 ? IP6_DESTINATION_AT : IP4_DESTINATION_AT);
    return Math.imul(word32(data, destinationAt), ADDRESS_FACTOR) ^ word32(data, offset + this.transportAt);
  }

  #parseIp4(data: Uint8Array, offset: number, end: number): boolean {
    const at = offset + this.networkAt;
    if (this.networkAt + IP4_HEADER_BYTES > end) return false;
    const versionAndLength = data[at] ?? 0;
    const headerBytes = (versionAndLength & 0x0f) * 4;
    if (versionAndLength >> 4 !== 4 || headerBytes < IP4_HEADER_BYTES) return false;
    if ((word16(data, at + 6) & FRAGMENT_BITS) !== 0) return false;
    this.isIp6 = false;
    return this.#parseTransport(data, offset, data[at + 9] ?? 0, this.networkAt + headerBytes, end);
  }

  #parseIp6(data: Uint8Array, offset: number, end: number): boolean {
    if (this.networkAt + IP6_HEADER_BYTES > end) return false;
    if ((data[offset + this.networkAt] ?? 0) >> 4 !== 6) return false;
    this.isIp6 = true;
    let header = data[offset + this.networkAt + 6] ?? 0;
    let at = this.networkAt + IP6_HEADER_BYTES;
    while (header === HOP_BY_HOP || header === ROUTING || header === DESTINATION_OPTIONS) {
      // A routing header changes what the pseudo-header's destination is (RFC 8200 §8.1); nobody sends such super-frames.
      if (header === ROUTING || at + 8 > end) return false;
      header = data[offset + at] ?? 0;
      at += ((data[offset + at + 1] ?? 0) + 1) * 8;
    }
    return this.#parseTransport(data, offset, header, at, end);
  }

  #parseTransport(data: Uint8Array, offset: number, protocol: number, at: number, end: number): boolean {
    this.protocol = protocol;
    this.transportAt = at;
    if (protocol === PROTOCOL_UDP) {
      this.payloadAt = at + UDP_HEADER_BYTES;
    } else if (protocol === PROTOCOL_TCP) {
      if (at + TCP_HEADER_BYTES > end) return false;
      const headerBytes = ((data[offset + at + 12] ?? 0) >> 4) * 4;
      if (headerBytes < TCP_HEADER_BYTES) return false;
      this.payloadAt = at + headerBytes;
    } else {
      return false;
    }
    return this.payloadAt <= end;
  }
}
