import { AEAD_HEADER_BYTES, AEAD_TAG_BYTES } from '@kith/posix';

/**
 * A data datagram of the direct carrier, big-endian: type u8, flags u8 (0), zero u16, receiver index u32, counter u64, then the
 * chunk (sealed or plain), then 16 bytes of tag.
 */
export const DATAGRAM_HEADER_BYTES = AEAD_HEADER_BYTES;
export const DATAGRAM_OVERHEAD = AEAD_HEADER_BYTES + AEAD_TAG_BYTES;
export const INDEX_AT = 4;
export const COUNTER_AT = 8;
export const TAG_BYTES = AEAD_TAG_BYTES;

export const TYPE_SEALED = 0xc0;
export const TYPE_PLAIN = 0xc1;
/** Probes and their replies belong to the main thread, and so does STUN, whose first byte is below 4 (RFC 7983 §7). */
export const TYPE_PROBE = 0xc2;
export const TYPE_PROBE_REPLY = 0xc3;
export const STUN_TYPES = 4;

/**
 * A TURN server's ChannelData (RFC 8656 §12.4): channel u16, whose first byte is 0x40 to 0x4F, length u16, then a datagram of ours.
 */
export const CHANNEL_HEADER_BYTES = 4;
export const CHANNEL_FIRST = 0x40;
export const CHANNEL_LAST = 0x4f;

/** Largest payload of a UDP datagram over IPv4, the sum of all that one send with UDP_SEGMENT may carry. */
export const MAX_UDP_PAYLOAD = 65_507;
