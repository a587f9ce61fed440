import { DATAGRAM_HEADER_BYTES, DATAGRAM_TAG_BYTES } from './datagram.ts';
import { ipFromBytes, ipToBytes } from './ip-text.ts';

/**
 * The plaintext of a probe and of its reply, big-endian, followed by zero bytes up to the size that is tried:
 *
 *      0      4        6       8            24
 *      id     bytes    port    address      zeros ...
 *
 * `id` is drawn by the prober and repeated by the reply. In a probe, address and port are where it was sent to; in a reply, where
 * the probe came from as the replier saw it. `bytes` is the size of the whole probe (UDP payload): in a probe as it was sent, in a
 * reply as it arrived.
 */
export const PROBE_BODY_BYTES = 24;

/** UDP payload of the smallest probe, and of every reply. */
export const MIN_PROBE_BYTES = DATAGRAM_HEADER_BYTES + PROBE_BODY_BYTES + DATAGRAM_TAG_BYTES;

export interface ProbeBody {
  /** u32 */
  id: number;
  /** Size of the probe in bytes of UDP payload. */
  bytes: number;
  ip: string;
  port: number;
}

/** Writes the body at the start of `target`; the rest of `target` is padding and left as it is. */
export function writeProbeBody(target: Uint8Array, body: ProbeBody): void {
  const view = new DataView(target.buffer, target.byteOffset, PROBE_BODY_BYTES);
  view.setUint32(0, body.id);
  view.setUint16(4, body.bytes);
  view.setUint16(6, body.port);
  target.set(ipToBytes(body.ip), 8);
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
  };
}
