import { createHash } from 'node:crypto';
import { PeerError } from '@kith/base';

/** 40 lower-case hex digits: the first 20 bytes of the SHA-256 fingerprint of a node's certificate. */
export type Uid = string;

const UID_PATTERN = /^[0-9a-f]{40}$/;

/** RFC 8122 §5: upper-case hex pairs joined by colons; 32 of them for SHA-256. */
const FINGERPRINT_PATTERN = /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/;

/** Resource of a node's JID is this prefix and its UID, so that several nodes of one account can meet. */
export const RESOURCE_PREFIX = 'kith-';

export function isUid(text: string): text is Uid {
  return UID_PATTERN.test(text);
}

export function isFingerprint(text: string): boolean {
  return FINGERPRINT_PATTERN.test(text);
}

/** The SHA-256 fingerprint of a DER certificate as RFC 8122 §5 writes it. */
export function fingerprintOf(der: Uint8Array): string {
  const hex = createHash('sha256').update(der).digest('hex').toUpperCase();
  return hex.replace(/(..)(?!$)/g, '$1:');
}

/**
 * The UID that a certificate's fingerprint proves.
 * @throws PeerError FINGERPRINT_INVALID when the text is no SHA-256 fingerprint.
 */
export function uidOfFingerprint(fingerprint: string): Uid {
  if (!isFingerprint(fingerprint)) {
    throw new PeerError(
      'FINGERPRINT_INVALID',
      'fingerprint must be 32 upper-case hex pairs joined by colons',
      {
        field: 'fpr',
      },
    );
  }
  return fingerprint.replaceAll(':', '').slice(0, 40).toLowerCase();
}

/**
 * The MAC of a node's virtual card: the first six bytes of its UID with the locally administered bit set and the group bit
 * cleared (IEEE 802 §8.2). Because it follows from the UID, nobody can announce another node's MAC.
 */
export function macOfUid(uid: Uid): Uint8Array {
  const mac = Uint8Array.from(Buffer.from(uid.slice(0, 12), 'hex'));
  mac[0] = ((mac[0] ?? 0) & 0xfc) | 0x02;
  return mac;
}

/** `aa:bb:cc:dd:ee:ff`. */
export function formatMac(mac: Uint8Array): string {
  return Buffer.from(mac)
    .toString('hex')
    .replace(/(..)(?!$)/g, '$1:');
}

/** The UID that a full JID's resource names, or undefined where the resource is not a node's. */
export function uidOfFullJid(fullJid: string): Uid | undefined {
  const slash = fullJid.indexOf('/');
  if (slash < 0) return undefined;
  const resource = fullJid.slice(slash + 1);
  if (!resource.startsWith(RESOURCE_PREFIX)) return undefined;
  const uid = resource.slice(RESOURCE_PREFIX.length);
  return isUid(uid) ? uid : undefined;
}

/** The bare JID of a full one. */
export function bareJid(jid: string): string {
  const slash = jid.indexOf('/');
  return slash < 0 ? jid : jid.slice(0, slash);
}
