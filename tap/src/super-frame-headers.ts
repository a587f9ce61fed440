import { checksum } from './checksum.ts';
import { CHUNK_TCP, CHUNK_UDP, MAX_OFFSET } from './chunk.ts';
import { FrameHeaders, PROTOCOL_TCP, PROTOCOL_UDP, TCP_SEQUENCE_AT } from './frame-headers.ts';
import {
  GSO_ECN,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  newVirtioHeader,
  VIRTIO_HEADER_BYTES,
  VIRTIO_NEEDS_CSUM,
  writeVirtioHeader,
} from './virtio-header.ts';
import { putWord16, putWord32, word16, word32 } from './wire-bytes.ts';

/** Linux accepts no smaller MSS (TCP_MIN_SND_MSS); a smaller segment size would only make a forwarding kernel work for nothing. */
const MIN_TCP_SEGMENT = 48;

// TCP flags (RFC 9293 §3.1), byte 13 of the header
const TCP_FIN = 0x01;
const TCP_SYN = 0x02;
const TCP_RST = 0x04;
const TCP_PSH = 0x08;
const TCP_URG = 0x20;
const TCP_CWR = 0x80;
/** With these a packet is never a super-frame (tcp_gso_segment of net/ipv4/tcp_offload.c expects none). */
const NEVER_SEGMENTED = TCP_SYN | TCP_RST | TCP_URG;

const IP6_HEADER_BYTES = 40;

/**
 * The headers of one super-frame of which a part arrived, kept where the first chunk of that part has them: checked when they come,
 * then rewritten in place, as often as wanted, to be those of any piece of the super-frame.
 */
export class SuperFrameHeaders {
  readonly #headers = new FrameHeaders();
  readonly #virtio = newVirtioHeader();
  #kind = 0;
  #gso = 0;
  #frameAt = 0;
  // What the sender's kernel wrote into them.
  #sequence = 0;
  #tcpFlags = 0;
  #ip4Id = 0;

  /** Bytes of all headers. */
  get bytes(): number {
    return this.#headers.payloadAt;
  }

  /** Where in the frame the header of TCP or UDP begins. */
  get transportAt(): number {
    return this.#headers.transportAt;
  }

  /**
   * Reads the headers of a TCP or UDP piece (`kind`) whose headers and payload of together `length` bytes stand at `frameAt`; the
   * payload is the super-frame's from byte `offset` on. False when they are not what they should be: another protocol, no payload,
   * beyond 64 KiB, segments that are too small or exceed `maxFrame`, flags that no super-frame has.
   */
  begin(
    data: Uint8Array,
    frameAt: number,
    length: number,
    kind: number,
    gso: number,
    offset: number,
    maxFrame: number,
  ): boolean {
    const headers = this.#headers;
    if (!headers.parse(data, frameAt, length)) return false;
    if (headers.protocol !== (kind === CHUNK_TCP ? PROTOCOL_TCP : PROTOCOL_UDP)) return false;
    if (headers.payloadAt >= length || offset + length > MAX_OFFSET) return false;
    if (gso < (kind === CHUNK_TCP ? MIN_TCP_SEGMENT : 1) || headers.payloadAt + gso > maxFrame) return false;
    if (kind === CHUNK_TCP) {
      this.#tcpFlags = data[frameAt + headers.transportAt + 13] ?? 0;
      if ((this.#tcpFlags & NEVER_SEGMENTED) !== 0) return false;
      this.#sequence = word32(data, frameAt + headers.transportAt + TCP_SEQUENCE_AT);
    }
    this.#ip4Id = word16(data, frameAt + headers.networkAt + 4);
    this.#kind = kind;
    this.#gso = gso;
    this.#frameAt = frameAt;
    return true;
  }

  /**
   * Makes the headers those of `payloadBytes` from byte `offset` of the super-frame on, `isLast` when they are its end, and writes the
   * virtio header before them.
   */
  rewrite(data: Uint8Array, offset: number, payloadBytes: number, isLast: boolean): void {
    const headers = this.#headers;
    const network = this.#frameAt + headers.networkAt;
    const transport = this.#frameAt + headers.transportAt;
    const networkBytes = headers.payloadAt + payloadBytes - headers.networkAt;
    const transportBytes = headers.payloadAt + payloadBytes - headers.transportAt;
    if (headers.isIp6) {
      // The payload length counts from behind the fixed header (RFC 8200 §3).
      putWord16(data, network + 4, networkBytes - IP6_HEADER_BYTES);
    } else {
      putWord16(data, network + 2, networkBytes);
      // The kernel numbers the packets that it would have sent one by one.
      putWord16(data, network + 4, this.#ip4Id + Math.floor(offset / this.#gso));
      putWord16(data, network + 10, 0);
      putWord16(data, network + 10, checksum(data, network, headers.transportAt - headers.networkAt));
    }
    if (this.#kind === CHUNK_TCP) this.#rewriteTcp(data, transport, offset, isLast);
    else putWord16(data, transport + 4, transportBytes);
    const sum = headers.pseudoSum(data, this.#frameAt, transportBytes);
    putWord16(data, transport + headers.checksumOffset, sum);
    this.#writeVirtio(data, payloadBytes, transport);
  }

  #rewriteTcp(data: Uint8Array, transport: number, offset: number, isLast: boolean): void {
    putWord32(data, transport + TCP_SEQUENCE_AT, this.#sequence + offset);
    let flags = this.#tcpFlags;
    // FIN and PSH belong to the last byte; CWR to the first segment (RFC 3168 §6.1.2: one per window).
    if (!isLast) flags &= ~(TCP_FIN | TCP_PSH);
    if (offset > 0) flags &= ~TCP_CWR;
    data[transport + 13] = flags;
  }

  #writeVirtio(data: Uint8Array, payloadBytes: number, transport: number): void {
    const headers = this.#headers;
    const virtio = this.#virtio;
    virtio.flags = VIRTIO_NEEDS_CSUM;
    virtio.gsoType = payloadBytes > this.#gso ? this.#gsoType(data, transport) : GSO_NONE;
    virtio.gsoSize = virtio.gsoType === GSO_NONE ? 0 : this.#gso;
    virtio.headerBytes = headers.payloadAt;
    virtio.checksumStart = headers.transportAt;
    virtio.checksumOffset = headers.checksumOffset;
    writeVirtioHeader(data, this.#frameAt - VIRTIO_HEADER_BYTES, virtio);
  }

  #gsoType(data: Uint8Array, transport: number): number {
    if (this.#kind === CHUNK_UDP) return GSO_UDP_L4;
    const hasCwr = ((data[transport + 13] ?? 0) & TCP_CWR) !== 0;
    return (this.#headers.isIp6 ? GSO_TCPV6 : GSO_TCPV4) | (hasCwr ? GSO_ECN : 0);
  }
}
