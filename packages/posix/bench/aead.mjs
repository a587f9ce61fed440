// What sealing one datagram costs, by the way it is asked of OpenSSL: `node packages/posix/bench/aead.mjs [bytes]` after a build.
import { createCipheriv } from 'node:crypto';
import koffi from 'koffi';
import { Aead, hotMemory } from '../dist/index.js';
import { nsPerCall, show } from './measure.mjs';

const BYTES = Number(process.argv[2] ?? 1400);
const CALLS = 50_000;
/** Datagrams lie side by side, as in a super-frame, so that caches see what they will see. */
const STRIDE = BYTES + 32;
const COUNT = 40;
const AAD = 0;
const IV = 16;
const TAG = 64;
const LENGTH = 96;
const PARAMS = 128;
const NAME = 320;
const TEXT = 512;

const memory = hotMemory(TEXT + COUNT * STRIDE);
const base = memory.address;
const at = (index) => TEXT + (index % COUNT) * STRIDE;
const key = new Uint8Array(32).fill(7);
const fixedIv = new Uint8Array(4);

const library = koffi.load(null);
const pointer = 'uintptr_t';
const newContext = library.func('EVP_CIPHER_CTX_new', pointer, []);
const fetchCipher = library.func('EVP_CIPHER_fetch', pointer, [pointer, 'const char *', pointer]);
const init = library.func('EVP_CipherInit_ex2', 'int', [pointer, pointer, pointer, pointer, 'int', pointer]);
const update = library.func('EVP_CipherUpdate', 'int', [pointer, pointer, pointer, pointer, 'int']);
const final = library.func('EVP_CipherFinal_ex', 'int', [pointer, pointer, pointer]);
const control = library.func('EVP_CIPHER_CTX_ctrl', 'int', [pointer, 'int', 'int', pointer]);
const setParams = library.func('EVP_CIPHER_CTX_set_params', 'int', [pointer, pointer]);
const evpCipher = library.func('EVP_Cipher', 'int', [pointer, pointer, pointer, 'int']);

function rawContext(name, tlsIv) {
  memory.bytes.set(key, TEXT);
  const context = newContext();
  if (init(context, fetchCipher(0, name, 0), base + TEXT, base + IV, 1, 0) !== 1) throw new Error(name);
  // EVP_CTRL_GCM_SET_IV_FIXED with the whole IV.
  if (tlsIv && control(context, 0x12, -1, base + IV) !== 1) throw new Error('fixed IV');
  return context;
}

function announceRecord(bytes) {
  memory.bytes[AAD + 11] = bytes >> 8;
  memory.bytes[AAD + 12] = bytes;
}

console.log(`${BYTES} bytes`);
for (const name of ['AES-256-GCM', 'ChaCha20-Poly1305']) {
  const context = rawContext(name, false);
  show(
    `${name}: five calls (init with IV, AAD, text, final, tag)`,
    nsPerCall((index) => {
      const text = base + at(index);
      init(context, 0, 0, base + IV, 1, 0);
      update(context, 0, base + LENGTH, base + AAD, 13);
      update(context, text, base + LENGTH, text, BYTES);
      final(context, base + TAG, base + LENGTH);
      control(context, 0x10, 16, base + TAG);
    }, CALLS),
    BYTES,
  );
}

const tls = rawContext('AES-256-GCM', true);
announceRecord(BYTES + 8);
show(
  'AES-256-GCM: two calls, EVP_CTRL_AEAD_TLS1_AAD and EVP_Cipher',
  nsPerCall((index) => {
    const text = base + at(index);
    control(tls, 0x16, 13, base + AAD);
    evpCipher(tls, text, text, BYTES + 24);
  }, CALLS),
  BYTES,
);
memory.bytes.set(Buffer.from('tlsaad\0'), NAME);
const param = new DataView(memory.bytes.buffer, PARAMS);
param.setBigUint64(0, BigInt(base + NAME), true);
param.setUint32(8, 5, true);
param.setBigUint64(16, BigInt(base + AAD), true);
param.setBigUint64(24, 13n, true);
show(
  'AES-256-GCM: two calls, prepared parameters and EVP_Cipher',
  nsPerCall((index) => {
    const text = base + at(index);
    setParams(tls, base + PARAMS);
    evpCipher(tls, text, text, BYTES + 24);
  }, CALLS),
  BYTES,
);
show(
  '  of which the parameters',
  nsPerCall(() => setParams(tls, base + PARAMS), CALLS),
);

for (const cipher of ['aes-256-gcm', 'chacha20-poly1305']) {
  const sealer = new Aead(cipher, key, fixedIv, 'seal', memory);
  show(
    `${cipher}: Aead.seal`,
    nsPerCall((index) => sealer.seal(at(index), BYTES), CALLS),
    BYTES,
  );
  sealer.free();
  // A fresh opener for datagrams of counters 0 to COUNT-1; each opens in place, so its ciphertext is put back before.
  const fresh = new Aead(cipher, key, fixedIv, 'seal', memory);
  for (let index = 0; index < COUNT; index++) fresh.seal(at(index), BYTES);
  fresh.free();
  const sealed = memory.bytes.slice(TEXT);
  const opener = new Aead(cipher, key, fixedIv, 'open', memory);
  let refused = 0;
  const restore = nsPerCall(() => memory.bytes.set(sealed, TEXT), 1000);
  const round = nsPerCall(() => {
    memory.bytes.set(sealed, TEXT);
    for (let index = 0; index < COUNT; index++) if (!opener.open(at(index), BYTES)) refused++;
  }, 1000);
  opener.free();
  if (refused > 0) throw new Error(`${refused} honest datagrams were refused`);
  show(`${cipher}: Aead.open`, (round - restore) / COUNT, BYTES);
}

const iv = new Uint8Array(12);
const text = Buffer.alloc(BYTES);
const aad = new Uint8Array(13);
show(
  'aes-256-gcm: createCipheriv of node:crypto',
  nsPerCall(() => {
    const sealing = createCipheriv('aes-256-gcm', key, iv);
    sealing.setAAD(aad);
    sealing.update(text);
    sealing.final();
    sealing.getAuthTag();
  }, 10_000),
  BYTES,
);
