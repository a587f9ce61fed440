import { createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync } from 'node:crypto';
import { BugError, PeerError } from '@kith/base';
import type { Uid } from '@kith/protocol';
import type { DirectKeys } from './direct-port.ts';

/** HKDF's label; a change of anything in the derivation changes it. */
const LABEL = 'kith direct v1';

const AES_KEY_BYTES = 32;
/** Fixed part of the nonce; the datagram's 64-bit counter is the rest (RFC 5116 §3.2). */
const FIXED_IV_BYTES = 4;
const PLAIN_TAG_BYTES = 16;

/** One X25519 key pair that serves one epoch. The private key stays inside OpenSSL, which clears it when it is freed. */
export interface KeyPair {
  /** 32 bytes in base64url. */
  readonly publicKey: string;
  /**
   * The shared secret, 32 bytes; the caller wipes it.
   * @throws PeerError DIRECT_KEY for a public key that gives the all-zero secret (RFC 7748 §6.1).
   */
  agree(peerPublicKey: string): Buffer;
}

export function generateKeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const { x } = publicKey.export({ format: 'jwk' });
  if (x === undefined) throw new BugError('DIRECT_KEY_EXPORT', 'an X25519 key has no x');
  return {
    publicKey: x,
    agree(peerPublicKey) {
      try {
        const peer = createPublicKey({
          key: { kty: 'OKP', crv: 'X25519', x: peerPublicKey },
          format: 'jwk',
        });
        // OpenSSL refuses points of small order by itself.
        return diffieHellman({ privateKey, publicKey: peer });
      } catch (cause) {
        throw new PeerError('DIRECT_KEY', 'the X25519 key of the peer cannot be used', {
          field: 'key',
          cause,
        });
      }
    },
  };
}

/** All that both ends know and that the keys of one direction in one epoch are bound to. */
export interface KeyContext {
  /** The higher of the two ends' attempt numbers, as both hellos say them. */
  attempt: number;
  epoch: number;
  receiver: Uid;
  sender: Uid;
  receiverKey: string;
  senderKey: string;
  plain: boolean;
  cipher: 'aes-256-gcm' | 'chacha20-poly1305';
}

export interface ProbeKey {
  /** AES-256 */
  key: Uint8Array;
  fixedIv: Uint8Array;
}

/** Keys of one direction of a link. */
export interface DirectionKeys {
  data: DirectKeys;
  probe: ProbeKey;
}

/** HKDF-SHA256 (RFC 5869) over the shared secret. Both ends derive the same from the same context. */
export function deriveKeys(secret: Uint8Array, context: KeyContext): DirectionKeys {
  const salt = [context.receiver, context.sender].sort().join('');
  // Every field is free of spaces, so no two contexts give the same text.
  const about = [
    LABEL,
    `attempt=${context.attempt}`,
    `epoch=${context.epoch}`,
    `to=${context.receiver}`,
    context.receiverKey,
    context.senderKey,
    context.plain ? 'plain' : context.cipher,
  ].join(' ');
  const derive = (purpose: string, bytes: number) =>
    new Uint8Array(hkdfSync('sha256', secret, salt, `${about} ${purpose}`, bytes));
  return {
    data: context.plain
      ? { mode: 'plain', tag: derive('tag', PLAIN_TAG_BYTES) }
      : {
          mode: 'sealed',
          cipher: context.cipher,
          key: derive('data key', AES_KEY_BYTES),
          fixedIv: derive('data iv', FIXED_IV_BYTES),
        },
    probe: { key: derive('probe key', AES_KEY_BYTES), fixedIv: derive('probe iv', FIXED_IV_BYTES) },
  };
}

export function wipeData(keys: DirectKeys): void {
  if (keys.mode === 'plain') {
    keys.tag.fill(0);
  } else {
    keys.key.fill(0);
    keys.fixedIv.fill(0);
  }
}

export function wipeKeys(keys: DirectionKeys): void {
  wipeData(keys.data);
  keys.probe.key.fill(0);
  keys.probe.fixedIv.fill(0);
}
