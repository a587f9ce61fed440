import { DATAGRAM_HEADER_BYTES, DATAGRAM_TAG_BYTES } from './datagram.ts';
import { ipFromBytes, ipToBytes } from './ip-text.ts';

/**
 * The plaintext of a probe and of its reply, big-endian, followed by zero bytes up to the size that is tried:
 *
 *      0      4        6       8            24       25
 *      id     bytes    port    address      flags    zeros ...
 *
 * `id` is drawn by the prober and repeated by the reply. In a probe, address and port are where it was sent to; in a reply, where
 * the probe came from as the replier saw it. `bytes` is the size of the whole probe (UDP payload): in a probe as it was sent, in a
 * reply as it arrived. Of the flags only FLAG_RELAYED has a meaning; the others are 0 and not looked at.
 */
export const PROBE_BODY_BYTES = 25;

/**
 * The datagram left by way of a TURN server of its sender's, so that the address it comes from is a relay's. The sender's own list of
 * its addresses says that as well, but goes by the data channel, which may be dead just when a relay is needed.
 */
const FLAG_RELAYED = 1;

/** UDP payload of the smallest probe, and of every reply. */
export const MIN_PROBE_BYTES = DATAGRAM_HEADER_BYTES + PROBE_BODY_BYTES + DATAGRAM_TAG_BYTES;

export interface ProbeBody {
  /** u32 */
  id: number;
  /** Size of the probe in bytes of UDP payload. */
  bytes: number;
  ip: string;
  port: number;
  /** Sent by way of a TURN server of the sender's. */
  isRelayed: boolean;
}

/** Writes the body at the start of `target`; the rest of `target` is padding and left as it is. */
export function writeProbeBody(target: Uint8Array, body: ProbeBody): void {
  const view = new DataView(target.buffer, target.byteOffset, PROBE_BODY_BYTES);
  view.setUint32(0, body.id);
  view.setUint16(4, body.bytes);
  view.setUint16(6, body.port);
  target.set(ipToBytes(body.ip), 8);
  view.setUint8(24, body.isRelayed ? FLAG_RELAYED : 0);
}

/** Undefined when the plaintext is too short. Padding is not looked at. */
export function readProbeBody(plaintext: Uint8Array): ProbeBody | undefined {
  if (plaintext.length < PROBE_BODY_BYTES) return undefined;
  const view = new DataView(plaintext.buffer, plaintext.byteOffset, PROBE_BODY_BYTES);
  return {
    id: view.getUint32(0),
    bytes: view.getUint16(4),
    port: view.getUint16(6),
    ip: ipFromBytes(plaintext.subarray(8, 24)),
    isRelayed: (view.getUint8(24) & FLAG_RELAYED) !== 0,
  };
}
