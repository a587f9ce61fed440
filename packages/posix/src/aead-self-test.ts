import { createCipheriv } from 'node:crypto';
import type { HotMemory } from './hot-memory.ts';
import { hotMemory } from './hot-memory.ts';

/** Both take keys of 32 bytes and nonces of 12. The names are those of OpenSSL and of node:crypto. */
export type AeadCipher = 'aes-256-gcm' | 'chacha20-poly1305';

/** What the self-test asks of the thing under test: see Aead. */
interface Subject {
  seal(at: number, plaintextLength: number): boolean;
  open(at: number, ciphertextLength: number): boolean;
  free(): void;
}

/** Long enough to reach the bulk code of AES-GCM (from 288 bytes on x86-64) and of ChaCha20 (from 192 bytes), and not even. */
const TEXT_BYTES = 333;
const HEADER_BYTES = 16;
const TAG_BYTES = 16;
const DATAGRAM_BYTES = HEADER_BYTES + TEXT_BYTES + TAG_BYTES;
/** The second datagram of a key shows that the counter counts; its number is 1. */
const DATAGRAMS = 2;

/**
 * Whether what `create` makes seals exactly as node:crypto's plain AEAD does, opens that again, and refuses a flipped bit.
 * The TLS-record form of OpenSSL's ciphers is an interface for its own libssl: this is what notices if it ever changes.
 */
export function agreesWithNodeCrypto(
  cipher: AeadCipher,
  create: (direction: 'seal' | 'open', key: Uint8Array, fixedIv: Uint8Array, memory: HotMemory) => Subject,
): boolean {
  const key = Uint8Array.from({ length: 32 }, (_, index) => index + 1);
  const fixedIv = Uint8Array.of(0xa1, 0xb2, 0xc3, 0xd4);
  const memory = hotMemory(DATAGRAM_BYTES);
  const sealer = create('seal', key, fixedIv, memory);
  const opener = create('open', key, fixedIv, memory);
  try {
    for (let counter = 0; counter < DATAGRAMS; counter++) {
      const plain = Uint8Array.from({ length: DATAGRAM_BYTES }, (_, index) => index * 7 + counter);
      memory.bytes.set(plain);
      if (!sealer.seal(0, TEXT_BYTES)) return false;
      const expected = expectedDatagram(cipher, key, fixedIv, counter, plain);
      if (Buffer.compare(memory.bytes, expected) !== 0) return false;
      if (!opener.open(0, TEXT_BYTES)) return false;
      const text = memory.bytes.subarray(HEADER_BYTES, HEADER_BYTES + TEXT_BYTES);
      if (Buffer.compare(text, plain.subarray(HEADER_BYTES, HEADER_BYTES + TEXT_BYTES)) !== 0) return false;
      memory.bytes.set(expected);
      memory.bytes[HEADER_BYTES] = (expected[HEADER_BYTES] ?? 0) ^ 1;
      if (opener.open(0, TEXT_BYTES)) return false;
    }
    return true;
  } finally {
    sealer.free();
    opener.free();
  }
}

function expectedDatagram(
  cipher: AeadCipher,
  key: Uint8Array,
  fixedIv: Uint8Array,
  counter: number,
  plain: Uint8Array,
): Buffer {
  const counterBytes = Buffer.alloc(8);
  counterBytes.writeUInt32BE(counter, 4);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(TEXT_BYTES);
  const header = Buffer.from(plain.subarray(0, 8));
  const nonce = Buffer.concat([fixedIv, counterBytes]);
  const options = { authTagLength: TAG_BYTES };
  // node's types tell the two ciphers apart by their literal names.
  const sealing =
    cipher === 'aes-256-gcm'
      ? createCipheriv(cipher, key, nonce, options)
      : createCipheriv(cipher, key, nonce, options);
  sealing.setAAD(Buffer.concat([header, Buffer.alloc(3), length]), { plaintextLength: TEXT_BYTES });
  const text = sealing.update(plain.subarray(HEADER_BYTES, HEADER_BYTES + TEXT_BYTES));
  sealing.final();
  return Buffer.concat([header, counterBytes, text, sealing.getAuthTag()]);
}
