import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import type { Uid } from '@kith/protocol';

const derive = promisify(pbkdf2);

/** Groups of one node's half of a code, five decimal digits each: 10^20, which is 66 bits. */
const GROUPS = 4;
const GROUP_DIGITS = 5;
/** 40 bits per group make the modulo's bias less than 10^-7. */
const GROUP_BYTES = 5;

/**
 * HMAC-SHA-256s that one trial costs; some 60 ms here, and 17 bits for whoever searches.
 *
 * What the code withstands. A code is two halves, one per node, each made from that node's UID alone; the UID is 160 bits of the SHA-256
 * fingerprint, and a second certificate with the same 160 bits takes 2^160 trials. Whoever stands between A and B with keys M1 and M2
 * shows A the halves of A and M1, and B those of M2 and B. Both people read the same only if half(M1) = half(B) and
 * half(M2) = half(A): each a search for one given value, 2^66 trials of 2^17 HMACs, so 2^83 each. A code of one hash over both UIDs would
 * be worth only the square root of its size, since M1 and M2 could be varied together until any two of them meet (a collision), and
 * 60 bits would fall after 2^30 trials. Halves do not depend on the pair, so a search could be for any of N known nodes at
 * once and finds one N times sooner: with 2^20 of them 2^63 HMAC chains, still far off.
 */
const ITERATIONS = 131_072;

/** Separates this use of PBKDF2 from any other; a change of the way codes are made must change it. */
const SALT = 'kith trust code 1';

/** Halves that were computed; nobody looks at more nodes in one sitting. */
const MAX_CACHED = 256;
const cache = new Map<Uid, string>();

/** The code that both ends of a pair of nodes show: eight groups of five digits, the same whichever end computes it. */
export async function trustCode(one: Uid, other: Uid): Promise<string> {
  const halves = await Promise.all([one, other].sort().map(halfOf));
  return halves.join(' ');
}

async function halfOf(uid: Uid): Promise<string> {
  const known = cache.get(uid);
  if (known !== undefined) return known;
  const bytes = await derive(Buffer.from(uid, 'hex'), SALT, ITERATIONS, GROUPS * GROUP_BYTES, 'sha256');
  const groups = Array.from({ length: GROUPS }, (_, index) => {
    const value = bytes.readUIntBE(index * GROUP_BYTES, GROUP_BYTES) % 10 ** GROUP_DIGITS;
    return String(value).padStart(GROUP_DIGITS, '0');
  });
  const half = groups.join(' ');
  if (cache.size >= MAX_CACHED) cache.clear();
  cache.set(uid, half);
  return half;
}
