import { SOCKADDR_BYTES } from '@kith/posix';
import { type DirectKeys, decodeKeys, ENCODED_KEYS_BYTES, encodeKeys } from './direct-keys.ts';
import { putWord16, putWord32, word16, word32 } from './wire-bytes.ts';

/**
 * Commands about the direct carrier, to the worker that each concerns: receivers to the ingress worker, senders and paths to the
 * egress worker. Key material passes through the ring's memory; the worker zeroes a command's bytes once it has read them.
 */
export const TAG_ADD_RECEIVER = 0x1_0010;
export const TAG_REMOVE_RECEIVER = 0x1_0011;
export const TAG_SET_SENDER = 0x1_0012;
export const TAG_SET_PATH = 0x1_0013;
export const TAG_CLEAR_PATH = 0x1_0014;
export const TAG_REMOVE_LINK = 0x1_0015;
/** A TURN server from which ChannelData is taken from now on; the payload is its sockaddr. */
export const TAG_ADD_RELAY = 0x1_0016;
export const TAG_REMOVE_RELAY = 0x1_0017;

/** From the egress worker to the main thread, in the uplink ring: sending on a link's path failed. */
export const TAG_PATH_ERROR = 0x1_0020;

// A keyed command: link u16, statistics slot u16, index u32, keys.
const INDEX_AT = 4;
const KEYS_AT = 8;
const KEYED_BYTES = KEYS_AT + ENCODED_KEYS_BYTES;
// A path: link u16, datagram bytes u16, channel u16, length of the sockaddr u8, sockaddr.
const CHANNEL_AT = 4;
const SOCKADDR_LENGTH_AT = 6;
const SOCKADDR_AT = 7;

export interface KeyedCommand {
  readonly link: number;
  /** Where this link's statistics are kept. */
  readonly slot: number;
  /** The receiver index, as a signed 32-bit number. */
  readonly index: number;
  readonly keys: DirectKeys;
}

/** For TAG_ADD_RECEIVER and TAG_SET_SENDER. Throws BugError for keys of a wrong length. */
export function encodeKeyed(command: KeyedCommand): Uint8Array {
  const bytes = new Uint8Array(KEYED_BYTES);
  putWord16(bytes, 0, command.link);
  putWord16(bytes, 2, command.slot);
  putWord32(bytes, INDEX_AT, command.index);
  encodeKeys(command.keys, bytes, KEYS_AT);
  return bytes;
}

export function decodeKeyed(data: Uint8Array, at: number): KeyedCommand {
  return {
    link: word16(data, at),
    slot: word16(data, at + 2),
    index: word32(data, at + INDEX_AT),
    keys: decodeKeys(data, at + KEYS_AT),
  };
}

/** For TAG_REMOVE_RECEIVER. */
export function encodeIndex(index: number): Uint8Array {
  const bytes = new Uint8Array(4);
  putWord32(bytes, 0, index);
  return bytes;
}

/** For TAG_CLEAR_PATH and TAG_REMOVE_LINK. */
export function encodeLink(link: number): Uint8Array {
  return Uint8Array.of(link >> 8, link);
}

export interface PathCommand {
  readonly link: number;
  /** The whole UDP payload, a header of ChannelData included. */
  readonly datagramBytes: number;
  /** The TURN channel that leads to the peer, the sockaddr being the server's; 0: the sockaddr is the peer's. */
  readonly channel: number;
  /** 28 bytes, of which the first sockaddrLength count. */
  readonly sockaddr: Uint8Array;
  readonly sockaddrLength: number;
}

export function encodePath(path: PathCommand): Uint8Array {
  const bytes = new Uint8Array(SOCKADDR_AT + SOCKADDR_BYTES);
  putWord16(bytes, 0, path.link);
  putWord16(bytes, 2, path.datagramBytes);
  putWord16(bytes, CHANNEL_AT, path.channel);
  bytes[SOCKADDR_LENGTH_AT] = path.sockaddrLength;
  bytes.set(path.sockaddr, SOCKADDR_AT);
  return bytes;
}

export function decodePath(data: Uint8Array, at: number): PathCommand {
  return {
    link: word16(data, at),
    datagramBytes: word16(data, at + 2),
    channel: word16(data, at + CHANNEL_AT),
    sockaddrLength: data[at + SOCKADDR_LENGTH_AT] ?? 0,
    sockaddr: data.slice(at + SOCKADDR_AT, at + SOCKADDR_AT + SOCKADDR_BYTES),
  };
}
