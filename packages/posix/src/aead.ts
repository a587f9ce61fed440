import { BugError, SystemError } from '@kith/base';
import { type AeadCipher, agreesWithNodeCrypto } from './aead-self-test.ts';
import { machineHasAes } from './cpu.ts';
import { type HotMemory, putPointer } from './hot-memory.ts';
import { type HotSlot, HotSlots } from './hot-slots.ts';
import { assertLength } from './ifreq.ts';
import { type OpenSsl, openSsl } from './openssl.ts';

export type { AeadCipher } from './aead-self-test.ts';

/** Bytes of a datagram before its ciphertext: 8 that are authenticated as they stand, then the counter. */
export const AEAD_HEADER_BYTES = 16;
/** Bytes behind the ciphertext. */
export const AEAD_TAG_BYTES = 16;
/**
 * The longest plaintext: OpenSSL wants the lengths of explicit IV (8), ciphertext and tag (16) summed up in 16 bits when it
 * opens a TLS record of AES-GCM. No UDP datagram comes near it.
 */
export const AEAD_MAX_PLAINTEXT_BYTES = 65_535 - 8 - AEAD_TAG_BYTES;

const KEY_BYTES = 32;
const FIXED_IV_BYTES = 4;
const NONCE_BYTES = 12;
const COUNTER_BYTES = 8;
/** EVP_AEAD_TLS1_AAD_LEN of openssl/evp.h. */
const AAD_BYTES = 13;
/** Header bytes that are copied to the associated data; then three zeros, then the length of the plaintext. */
const AAD_HEADER_BYTES = 8;
/** EVP_CTRL_GCM_SET_IV_FIXED of openssl/evp.h; with the argument -1 it takes a whole IV, whose last 8 bytes count up. */
const EVP_CTRL_SET_IV_FIXED = 0x12;
const WHOLE_IV = -1;
/** OSSL_PARAM_OCTET_STRING of openssl/core.h. */
const OCTET_STRING = 5;
/** sizeof(OSSL_PARAM) in 32-bit words: key, data_type, data, data_size, return_size. */
const PARAM_WORDS = 10;

// What a slot holds: associated data, nonce, the parameter array (two entries and its end), the key while it is being set.
const AAD_AT = 0;
const NONCE_AT = 16;
const PARAMS_AT = 32;
const KEY_AT = 160;
const SLOT_BYTES = 256;

/** One per thread, as every module instance is. */
const slots = new HotSlots(SLOT_BYTES);

interface CipherState {
  readonly handle: number;
  readonly works: boolean;
}
/** Fetched ciphers live as long as the process: a fetch costs more than a thousand seals. */
const ciphers = new Map<AeadCipher, CipherState>();

/**
 * Seals or opens datagrams in place with one key, without allocating. The datagram lies in the memory given at construction:
 *
 *     at + 0      8        16                    16 + length
 *     header      counter  plaintext/ciphertext  tag (16)
 *
 * Nonce: the 4 bytes of `fixedIv`, then the counter (big-endian). Associated data: header bytes 0..7, three zeros, the length
 * of the plaintext (16 bits, big-endian). A standard AEAD with these inputs gives the same bytes.
 *
 * Both ciphers run in OpenSSL's TLS-record form, which costs two foreign calls instead of five: one parameter array that is
 * laid out once, and EVP_Cipher over counter, text and tag. Sealing takes the counter from OpenSSL (AES) or from here
 * (ChaCha) and never from the caller, so a nonce cannot repeat under one key whatever the caller does.
 */
export class Aead {
  readonly cipher: AeadCipher;
  readonly #openSsl: OpenSsl;
  readonly #memory: HotMemory;
  readonly #memoryBytes: number;
  readonly #seals: boolean;
  readonly #isGcm: boolean;
  readonly #slot: HotSlot;
  readonly #paramsAddress: number;
  /**
   * EVP_CIPHER_CTX; null once freed. It starts as null so that V8 keeps it as a pointer to a number: a field that has only
   * ever held doubles would be boxed anew at each call.
   */
  #context: number | null = null;
  /** Datagrams sealed so far, which is the counter of the next one. */
  #sealed = 0;

  /** What this node's OpenSSL can do: each cipher is tried once against a known answer. Never throws. */
  static available(): { aes: boolean; chacha: boolean } {
    return { aes: isAvailable('aes-256-gcm'), chacha: isAvailable('chacha20-poly1305') };
  }

  /** Whether AES-GCM is faster than ChaCha20 on this machine. */
  static hasAesHardware(): boolean {
    return machineHasAes();
  }

  /**
   * `key` (32 bytes) and `fixedIv` (4 bytes) are copied; wiping the originals is the caller's task. Throws SystemError
   * AEAD_UNAVAILABLE or OPENSSL_MISSING when OpenSSL cannot do it, BugError for wrong lengths.
   */
  constructor(
    cipher: AeadCipher,
    key: Uint8Array,
    fixedIv: Uint8Array,
    direction: 'seal' | 'open',
    memory: HotMemory,
  ) {
    assertLength(key, KEY_BYTES, 'an AEAD key');
    assertLength(fixedIv, FIXED_IV_BYTES, 'the fixed part of a nonce');
    if (!cipherState(cipher).works) {
      throw new SystemError(
        'AEAD_UNAVAILABLE',
        `OpenSSL of this node cannot seal with ${cipher} as we need it`,
      );
    }
    this.cipher = cipher;
    this.#openSsl = openSsl();
    this.#memory = memory;
    this.#memoryBytes = memory.bytes.length;
    this.#seals = direction === 'seal';
    this.#isGcm = cipher === 'aes-256-gcm';
    this.#slot = slots.take();
    this.#paramsAddress = this.#slot.address + PARAMS_AT;
    this.#layOutParams(fixedIv);
    try {
      this.#context = this.#newContext(key);
    } catch (error) {
      slots.give(this.#slot);
      throw error;
    }
  }

  /** How many datagrams were sealed. */
  get sealed(): number {
    return this.#sealed;
  }

  /**
   * Hot call: seals `plaintextLength` bytes at `at + 16` in place, after the caller wrote header bytes 0..7 at `at`. Writes
   * the counter at `at + 8` (0 for the first datagram of a key, then counting up) and the tag behind the ciphertext.
   * False: the datagram must not leave; never seen to happen. Throws BugError when it does not lie in the memory.
   */
  seal(at: number, plaintextLength: number): boolean {
    const context = this.#context;
    if (context === null || !this.#seals) throw this.#misused('seal');
    this.#checkPlace(at, plaintextLength);
    const counter = this.#sealed++;
    if (!this.#isGcm) {
      writeCounter(this.#memory.bytes, at + AAD_HEADER_BYTES, counter);
      writeCounter(this.#slot.bytes, NONCE_AT + FIXED_IV_BYTES, counter);
      return this.#run(
        context,
        at,
        at + AEAD_HEADER_BYTES,
        plaintextLength,
        plaintextLength + AEAD_TAG_BYTES,
      );
    }
    return this.#run(
      context,
      at,
      at + AAD_HEADER_BYTES,
      plaintextLength + COUNTER_BYTES,
      COUNTER_BYTES + plaintextLength + AEAD_TAG_BYTES,
    );
  }

  /**
   * Hot call: opens `ciphertextLength` bytes (without header and tag) in place. False: forged or damaged; the ciphertext is
   * then destroyed and nothing else changes. Throws BugError when the datagram does not lie in the memory.
   */
  open(at: number, ciphertextLength: number): boolean {
    const context = this.#context;
    if (context === null || this.#seals) throw this.#misused('open');
    this.#checkPlace(at, ciphertextLength);
    const sealedLength = ciphertextLength + AEAD_TAG_BYTES;
    let opened: boolean;
    if (this.#isGcm) {
      const recordLength = COUNTER_BYTES + sealedLength;
      opened = this.#run(context, at, at + AAD_HEADER_BYTES, recordLength, recordLength);
    } else {
      const bytes = this.#memory.bytes;
      const nonce = this.#slot.bytes;
      for (let index = 0; index < COUNTER_BYTES; index++) {
        nonce[NONCE_AT + FIXED_IV_BYTES + index] = bytes[at + AAD_HEADER_BYTES + index] ?? 0;
      }
      opened = this.#run(context, at, at + AEAD_HEADER_BYTES, sealedLength, sealedLength);
    }
    // OpenSSL's queue of errors belongs to the thread: what a stranger sent must not surface in node's own TLS.
    if (!opened) this.#openSsl.clearErrors();
    return opened;
  }

  /** Wipes the key: OpenSSL cleanses its context when it frees it. Every later call but this one throws BugError. */
  free(): void {
    const context = this.#context;
    if (context === null) return;
    this.#context = null;
    this.#openSsl.freeContext(context);
    slots.give(this.#slot);
  }

  /** Announces one record (its header and its length as the cipher's TLS form counts it), then runs the cipher over it. */
  #run(context: number, headerAt: number, textAt: number, announced: number, length: number): boolean {
    const bytes = this.#memory.bytes;
    const aad = this.#slot.bytes;
    for (let index = 0; index < AAD_HEADER_BYTES; index++) aad[AAD_AT + index] = bytes[headerAt + index] ?? 0;
    aad[AAD_AT + AAD_BYTES - 2] = announced >> 8;
    aad[AAD_AT + AAD_BYTES - 1] = announced;
    if (this.#openSsl.setParams(context, this.#paramsAddress) !== 1) return false;
    const address = this.#memory.address + textAt;
    return this.#openSsl.cipher(context, address, address, length) >= 0;
  }

  #checkPlace(at: number, textLength: number): void {
    const fits =
      at >= 0 &&
      textLength >= 0 &&
      textLength <= AEAD_MAX_PLAINTEXT_BYTES &&
      at + AEAD_HEADER_BYTES + textLength + AEAD_TAG_BYTES <= this.#memoryBytes;
    if (!fits) throw outside(at, textLength, this.#memoryBytes);
  }

  #misused(attempt: string): BugError {
    const state = this.#context === null ? 'was freed' : `only ${this.#seals ? 'seals' : 'opens'}`;
    return new BugError('AEAD_MISUSED', `cannot ${attempt}: this key ${state}`);
  }

  /**
   * The parameter array that every record passes. ChaCha gets its nonce with each record: chacha20_poly1305_set_ctx_params()
   * takes the IV after the associated data and as it stands, so the sequence number that TLS would mix in has no effect. The
   * known answer is what holds OpenSSL to that.
   */
  #layOutParams(fixedIv: Uint8Array): void {
    const { bytes, words, address } = this.#slot;
    bytes.set(fixedIv, NONCE_AT);
    putOctets(words, 0, this.#openSsl.tlsAadName, address + AAD_AT, AAD_BYTES);
    if (!this.#isGcm) putOctets(words, 1, this.#openSsl.tlsIvName, address + NONCE_AT, NONCE_BYTES);
  }

  #newContext(key: Uint8Array): number {
    const { bytes, address } = this.#slot;
    const context = this.#openSsl.newContext();
    if (context === 0) throw new SystemError('ENOMEM', 'OpenSSL has no memory for a key');
    bytes.set(key, KEY_AT);
    const { handle } = cipherState(this.cipher);
    let ready =
      this.#openSsl.init(context, handle, address + KEY_AT, address + NONCE_AT, this.#seals ? 1 : 0, 0) === 1;
    bytes.fill(0, KEY_AT, KEY_AT + KEY_BYTES);
    if (this.#isGcm && ready) {
      ready = this.#openSsl.control(context, EVP_CTRL_SET_IV_FIXED, WHOLE_IV, address + NONCE_AT) === 1;
    }
    if (!ready) {
      this.#openSsl.freeContext(context);
      this.#openSsl.clearErrors();
      throw new SystemError('AEAD_UNAVAILABLE', `OpenSSL refused a key for ${this.cipher}`);
    }
    return context;
  }
}

function isAvailable(cipher: AeadCipher): boolean {
  try {
    return cipherState(cipher).works;
  } catch {
    return false;
  }
}

/** Throws SystemError OPENSSL_MISSING. */
function cipherState(cipher: AeadCipher): CipherState {
  const known = ciphers.get(cipher);
  if (known !== undefined) return known;
  const library = openSsl();
  const handle = library.fetchCipher(0, cipher, 0);
  if (handle === 0) library.clearErrors();
  // The self-test below makes keys of this cipher, which ask here again: for them it works until the test says otherwise.
  const untested = { handle, works: handle !== 0 };
  ciphers.set(cipher, untested);
  const state = { handle, works: untested.works && passesSelfTest(cipher) };
  ciphers.set(cipher, state);
  return state;
}

function passesSelfTest(cipher: AeadCipher): boolean {
  try {
    return agreesWithNodeCrypto(
      cipher,
      (direction, key, fixedIv, memory) => new Aead(cipher, key, fixedIv, direction, memory),
    );
  } catch {
    // node:crypto may lack the cipher (FIPS mode) or OpenSSL refuse the key: either way it cannot be relied on.
    return false;
  }
}

/** Writes one OSSL_PARAM octet string into a parameter array. */
function putOctets(words: Uint32Array, slot: number, name: number, data: number, length: number): void {
  const at = PARAMS_AT / 4 + slot * PARAM_WORDS;
  putPointer(words, at, name);
  words[at + 2] = OCTET_STRING;
  putPointer(words, at + 4, data);
  words[at + 6] = length;
}

/** Writes a counter below 2^53 as 64 bits, big-endian. */
function writeCounter(bytes: Uint8Array, at: number, counter: number): void {
  const high = Math.floor(counter / 0x1_0000_0000);
  bytes[at] = high >>> 24;
  bytes[at + 1] = high >>> 16;
  bytes[at + 2] = high >>> 8;
  bytes[at + 3] = high;
  bytes[at + 4] = counter >>> 24;
  bytes[at + 5] = counter >>> 16;
  bytes[at + 6] = counter >>> 8;
  bytes[at + 7] = counter;
}

function outside(at: number, textLength: number, memoryBytes: number): BugError {
  return new BugError(
    'AEAD_OUTSIDE_MEMORY',
    `a datagram of ${textLength} bytes at ${at} does not lie in memory of ${memoryBytes} bytes`,
  );
}
