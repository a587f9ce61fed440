import { createHash } from 'node:crypto';
import { ipFromBytes, type Uid } from '@kith/protocol';

/** The /64 that RFC 4193 and RFC 4291 §2.5.4 leave to one link: 64 bits of prefix, 64 of interface identifier. */
export const IP6_PREFIX_LENGTH = 64;

export interface NetworkIdentity {
  kind: 'group' | 'social';
  /** Bare JID of this account. */
  jid: string;
  /** Roster group; undefined: all contacts. */
  group: string | undefined;
}

/**
 * The first eight bytes of every IPv6 address of the network. A unique local prefix (RFC 4193 §3.1: fd, then 40 bits drawn by chance)
 * whose 40 bits and subnet number are a hash, so that all members come to the same one without a word: of the hub's domain and the
 * roster group in a group network; in social networks, where every two friends have other friends, one for all.
 */
export function networkPrefix({ kind, jid, group }: NetworkIdentity): Uint8Array {
  const identity = kind === 'social' ? [kind] : [kind, jid.slice(jid.indexOf('@') + 1), group ?? ''];
  const digest = createHash('sha256')
    .update(`kith ip6 1\0${JSON.stringify(identity)}`)
    .digest();
  return Uint8Array.of(0xfd, ...digest.subarray(0, 7));
}

/** A node's IPv6 address: the network's prefix and the first eight bytes of its UID, so that it proves itself with the certificate. */
export function overlayIp6(prefix: Uint8Array, uid: Uid): string {
  return ipFromBytes(Uint8Array.of(...prefix, ...Buffer.from(uid.slice(0, 16), 'hex')));
}
