import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { Aead, type AeadCipher, hotMemory } from './index.ts';

/** The key is told to the searcher under this mask, so that nobody's copy of the question is found as an answer. */
const MASK = 0x5a;
const mayReadMemory = process.getuid?.() === 0;

/**
 * Counts how often a masked byte string occurs, unmasked, in the writable memory of a process. It runs in a process of its
 * own while this one waits, because the search would find its own buffers.
 */
const SEARCHER = `
const { closeSync, openSync, readFileSync, readSync } = require('node:fs');
const [pid, masked] = process.argv.slice(1);
const needle = Buffer.from(masked, 'hex').map((byte) => byte ^ ${MASK});
const chunk = Buffer.alloc(2 ** 22);
const fd = openSync('/proc/' + pid + '/mem', 'r');
let found = 0;
for (const line of readFileSync('/proc/' + pid + '/maps', 'utf8').split('\\n')) {
  const range = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
  if (range === null) continue;
  const end = parseInt(range[2], 16);
  for (let at = parseInt(range[1], 16); at < end; at += chunk.length - needle.length) {
    let length = 0;
    try { length = readSync(fd, chunk, 0, Math.min(chunk.length, end - at), at); } catch { break; }
    const seen = chunk.subarray(0, length);
    for (let hit = seen.indexOf(needle); hit >= 0; hit = seen.indexOf(needle, hit + 1)) found++;
  }
}
closeSync(fd);
console.log(found);
`;

function copiesInMemory(masked: Uint8Array): number {
  const hex = Buffer.from(masked).toString('hex');
  const out = execFileSync(process.execPath, ['-e', SEARCHER, String(process.pid), hex], {
    encoding: 'utf8',
  });
  return Number(out);
}

test.runIf(mayReadMemory).each<AeadCipher>(['aes-256-gcm', 'chacha20-poly1305'])(
  '%s: once a key is freed it is nowhere in memory',
  (cipher) => {
    const memory = hotMemory(256);
    const key = randomFillSync(new Uint8Array(new SharedArrayBuffer(32)));
    const masked = key.map((byte) => byte ^ MASK);
    const sealer = new Aead(cipher, key, new Uint8Array(4), 'seal', memory);
    const opener = new Aead(cipher, key, new Uint8Array(4), 'open', memory);
    sealer.seal(0, 100);
    expect(opener.open(0, 100)).toBe(true);
    key.fill(0);
    // The key schedules of AES begin with the key itself, and ChaCha's state holds it: the search can find it.
    expect(copiesInMemory(masked)).toBeGreaterThanOrEqual(2);
    sealer.free();
    opener.free();
    expect(copiesInMemory(masked)).toBe(0);
  },
);
