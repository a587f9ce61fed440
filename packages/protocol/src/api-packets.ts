import { PeerError } from '@kith/base';
import { MIN_FRAME_BYTES } from './frames-message.ts';
import type { Uid } from './uid.ts';

/**
 * Payloads of the API's datagrams that are not JSON, as IPOP lays them out:
 *
 *      0           20               40
 *      source UID  destination UID  Ethernet frame
 *
 * Type 2 carries a frame between the TAP device and the controller. Types 3 and 4 ("ICC") carry what two controllers say to each other
 * over the link of their nodes; their frame is a fake one: the MAC 00:69:70:6f:70 and the type, then eight zero bytes, then the text.
 */
export const API_TYPE_PACKET = 0x02;
export const API_TYPE_ICC_CONTROL = 0x03;
export const API_TYPE_ICC_PACKET = 0x04;
export type IccType = typeof API_TYPE_ICC_CONTROL | typeof API_TYPE_ICC_PACKET;

const UID_BYTES = 20;
const HEADER_BYTES = 2 * UID_BYTES;
const NO_UID = '0'.repeat(2 * UID_BYTES);
/** "\0ipop" in front of the type: how IPOP tells these apart from frames of applications. */
const ICC_MAC = Uint8Array.of(0x00, 0x69, 0x70, 0x6f, 0x70);
/** The fake Ethernet header. */
const ICC_HEADER_BYTES = 14;

/** Largest payload of types 3 and 4. IPOP's fit 1 500 bytes; this leaves room in one message of the control channel, as base64. */
export const MAX_ICC_BYTES = 16_384;

export interface ApiPacket {
  /** null: IPOP's zeros, for "unknown". */
  source: Uid | null;
  destination: Uid | null;
  frame: Uint8Array;
}

/**
 * Reads a payload of type 2; the frame is a view of it.
 * @throws PeerError API_PACKET that names the field.
 */
export function readApiPacket(payload: Uint8Array): ApiPacket {
  if (payload.length < HEADER_BYTES + MIN_FRAME_BYTES) {
    throw invalid('frame', `is shorter than ${MIN_FRAME_BYTES} bytes`);
  }
  return {
    source: readUid(payload, 0),
    destination: readUid(payload, UID_BYTES),
    frame: payload.subarray(HEADER_BYTES),
  };
}

export function writeApiPacket(source: Uid | null, destination: Uid | null, frame: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from((source ?? NO_UID) + (destination ?? NO_UID), 'hex'), frame]);
}

/**
 * Reads a payload of type 3 or 4. What a controller reads behind its fake header is its own business.
 * @throws PeerError API_PACKET that names the field.
 */
export function readIcc(type: IccType, payload: Uint8Array): ApiPacket & { destination: Uid } {
  if (payload.length > MAX_ICC_BYTES) throw invalid('payload', `is longer than ${MAX_ICC_BYTES} bytes`);
  const { source, destination, frame } = readApiPacket(payload);
  if (destination === null) throw invalid('destination', 'must be the UID of a node');
  assertIccFrame(type, frame);
  return { source, destination, frame };
}

/** Throws PeerError API_PACKET unless the frame is a fake one of this type. */
export function assertIccFrame(type: IccType, frame: Uint8Array): void {
  const isOurs =
    frame.length >= ICC_HEADER_BYTES &&
    ICC_MAC.every((byte, at) => frame[at] === byte) &&
    frame[ICC_MAC.length] === type;
  if (!isOurs) throw invalid('mac', `must be 00:69:70:6f:70:0${type}`);
}

function readUid(payload: Uint8Array, at: number): Uid | null {
  const uid = Buffer.from(payload.buffer, payload.byteOffset + at, UID_BYTES).toString('hex');
  return uid === NO_UID ? null : uid;
}

function invalid(field: string, what: string): PeerError {
  return new PeerError('API_PACKET', `${field}: ${what}`, { field });
}
