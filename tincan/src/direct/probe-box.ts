import { createCipheriv, createDecipheriv } from 'node:crypto';
import {
  DATAGRAM_HEADER_BYTES,
  DATAGRAM_TAG_BYTES,
  type DatagramHeader,
  MIN_PROBE_BYTES,
  type ProbeBody,
  readProbeBody,
  writeDatagramHeader,
  writeProbeBody,
} from '@kith/protocol';
import type { ProbeKey } from './key-schedule.ts';
import { ReplayWindow } from './replay-window.ts';

const CIPHER = 'aes-256-gcm';

/** RFC 5116 §3.2: fixed part, then the counter as it stands in bytes 8 to 15 of the header. */
function nonceOf(fixedIv: Uint8Array, header: Uint8Array): Buffer {
  return Buffer.concat([fixedIv, header.subarray(8, DATAGRAM_HEADER_BYTES)]);
}

/** Seals probes and replies of one sending epoch. Control plane: a few per second, so node:crypto will do. */
export class ProbeSealer {
  readonly #index: number;
  readonly #key: ProbeKey;
  #counter = 0;

  constructor(index: number, key: ProbeKey) {
    this.#index = index;
    this.#key = key;
  }

  /** A whole datagram of `size` bytes of UDP payload, padded with zeros; never less than MIN_PROBE_BYTES. */
  seal(type: number, body: ProbeBody, size: number): Uint8Array {
    const datagram = Buffer.alloc(Math.max(size, MIN_PROBE_BYTES));
    writeDatagramHeader(datagram, type, this.#index, this.#counter++);
    const header = datagram.subarray(0, DATAGRAM_HEADER_BYTES);
    const inner = datagram.subarray(DATAGRAM_HEADER_BYTES, datagram.length - DATAGRAM_TAG_BYTES);
    writeProbeBody(inner, body);
    const cipher = createCipheriv(CIPHER, this.#key.key, nonceOf(this.#key.fixedIv, header));
    // The whole header: a probe cannot be turned into a reply.
    cipher.setAAD(header);
    inner.set(cipher.update(inner));
    cipher.final();
    datagram.set(cipher.getAuthTag(), datagram.length - DATAGRAM_TAG_BYTES);
    return datagram;
  }

  wipe(): void {
    this.#key.key.fill(0);
    this.#key.fixedIv.fill(0);
  }
}

/** Opens probes and replies of one receiving epoch. */
export class ProbeOpener {
  readonly #key: ProbeKey;
  readonly #replay = new ReplayWindow();

  constructor(key: ProbeKey) {
    this.#key = key;
  }

  /** The body, or why there is none. `header` is what was read of the same datagram. */
  open(datagram: Uint8Array, header: DatagramHeader): ProbeBody | 'forged' | 'replayed' {
    const end = datagram.length - DATAGRAM_TAG_BYTES;
    const aad = datagram.subarray(0, DATAGRAM_HEADER_BYTES);
    const decipher = createDecipheriv(CIPHER, this.#key.key, nonceOf(this.#key.fixedIv, aad));
    decipher.setAAD(aad);
    decipher.setAuthTag(datagram.subarray(end));
    let inner: Buffer;
    try {
      inner = decipher.update(datagram.subarray(DATAGRAM_HEADER_BYTES, end));
      decipher.final();
    } catch {
      return 'forged';
    }
    if (!this.#replay.accept(header.counter)) return 'replayed';
    // Authentic but too short: only a peer that does not keep the protocol sends that.
    return readProbeBody(inner) ?? 'forged';
  }

  wipe(): void {
    this.#key.key.fill(0);
    this.#key.fixedIv.fill(0);
  }
}
