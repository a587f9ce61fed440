import { BugError } from '@kith/base';
import { word32 } from './wire-bytes.ts';

/** Key material of one direction of a link. The callee copies it; the caller wipes its own. */
export type DirectKeys =
  | {
      readonly mode: 'sealed';
      readonly cipher: 'aes-256-gcm' | 'chacha20-poly1305';
      /** 32 bytes */
      readonly key: Uint8Array;
      /** 4 bytes */
      readonly fixedIv: Uint8Array;
    }
  | {
      readonly mode: 'plain';
      /** 16 secret bytes that end every datagram, in place of a checksum that would prove its content. */
      readonly tag: Uint8Array;
    };

const KEY_BYTES = 32;
const IV_BYTES = 4;
const TAG_BYTES = 16;

const MODE_AES = 0;
const MODE_CHACHA = 1;
const MODE_PLAIN = 2;

/** Keys in a command: mode u8, then key and fixed IV, or the tag; always this long. */
export const ENCODED_KEYS_BYTES = 1 + KEY_BYTES + IV_BYTES;

/** Throws BugError for keys of a wrong length. */
export function encodeKeys(keys: DirectKeys, into: Uint8Array, at: number): void {
  if (keys.mode === 'plain') {
    assertBytes(keys.tag, TAG_BYTES);
    into[at] = MODE_PLAIN;
    into.set(keys.tag, at + 1);
    return;
  }
  assertBytes(keys.key, KEY_BYTES);
  assertBytes(keys.fixedIv, IV_BYTES);
  into[at] = keys.cipher === 'aes-256-gcm' ? MODE_AES : MODE_CHACHA;
  into.set(keys.key, at + 1);
  into.set(keys.fixedIv, at + 1 + KEY_BYTES);
}

/** A copy of the keys at `at`; whoever decodes wipes both the encoding and the copy. */
export function decodeKeys(data: Uint8Array, at: number): DirectKeys {
  const mode = data[at];
  if (mode === MODE_PLAIN) return { mode: 'plain', tag: data.slice(at + 1, at + 1 + TAG_BYTES) };
  return {
    mode: 'sealed',
    cipher: mode === MODE_AES ? 'aes-256-gcm' : 'chacha20-poly1305',
    key: data.slice(at + 1, at + 1 + KEY_BYTES),
    fixedIv: data.slice(at + 1 + KEY_BYTES, at + ENCODED_KEYS_BYTES),
  };
}

/** A tag as four words, so that writing and comparing it takes four steps. */
export function tagWords(tag: Uint8Array): Int32Array {
  return Int32Array.from({ length: TAG_BYTES / 4 }, (_, index) => word32(tag, index * 4));
}

export function wipeKeys(keys: DirectKeys): void {
  if (keys.mode === 'plain') {
    keys.tag.fill(0);
  } else {
    keys.key.fill(0);
    keys.fixedIv.fill(0);
  }
}

function assertBytes(bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) {
    throw new BugError('DIRECT_KEYS', `key material of ${bytes.length} bytes instead of ${length}`);
  }
}
