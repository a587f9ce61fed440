import { createCipheriv, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { KithError } from '@kith/base';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { cpuInfoHasAes } from './cpu.ts';
import {
  AEAD_HEADER_BYTES,
  AEAD_MAX_PLAINTEXT_BYTES,
  AEAD_TAG_BYTES,
  Aead,
  type AeadCipher,
  hotMemory,
} from './index.ts';

const OVERHEAD = AEAD_HEADER_BYTES + AEAD_TAG_BYTES;
const memory = hotMemory(AEAD_MAX_PLAINTEXT_BYTES + OVERHEAD + 64);
const KEY = Uint8Array.from({ length: 32 }, (_, index) => 0x80 + index);
const FIXED = Uint8Array.of(7, 0, 0, 0);

beforeEach(() => {
  memory.bytes.fill(0xee);
});

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof KithError ? error.code : `not ours: ${String(error)}`;
  }
  return 'no error';
}

function withAead<T>(
  cipher: AeadCipher,
  direction: 'seal' | 'open',
  use: (aead: Aead) => T,
  key: Uint8Array = KEY,
  fixedIv: Uint8Array = FIXED,
): T {
  const aead = new Aead(cipher, key, fixedIv, direction, memory);
  try {
    return use(aead);
  } finally {
    aead.free();
  }
}

/** The datagram that a plain AEAD gives for our nonce and associated data: the contract that the other end relies on. */
function reference(
  cipher: AeadCipher,
  key: Uint8Array,
  fixedIv: Uint8Array,
  header: Uint8Array,
  counter: number,
  text: Uint8Array,
): Buffer {
  const counterBytes = Buffer.alloc(8);
  counterBytes.writeBigUInt64BE(BigInt(counter));
  const nonce = Buffer.concat([fixedIv, counterBytes]);
  const options = { authTagLength: AEAD_TAG_BYTES };
  const sealing =
    cipher === 'aes-256-gcm'
      ? createCipheriv(cipher, key, nonce, options)
      : createCipheriv(cipher, key, nonce, options);
  const aad = Buffer.concat([header, Buffer.of(0, 0, 0, text.length >> 8, text.length & 0xff)]);
  sealing.setAAD(aad, { plaintextLength: text.length });
  const sealed = sealing.update(text);
  sealing.final();
  return Buffer.concat([header, counterBytes, sealed, sealing.getAuthTag()]);
}

/** Lays a datagram out for sealing; the counter's place holds rubbish, because sealing numbers datagrams itself. */
function lay(at: number, header: Uint8Array, text: Uint8Array): void {
  memory.bytes.set(header, at);
  memory.bytes.fill(0x55, at + 8, at + AEAD_HEADER_BYTES);
  memory.bytes.set(text, at + AEAD_HEADER_BYTES);
}

function datagram(at: number, textLength: number): Buffer {
  return Buffer.from(memory.bytes.subarray(at, at + OVERHEAD + textLength));
}

test('the OpenSSL of this node offers both ciphers', () => {
  expect(Aead.available()).toEqual({ aes: true, chacha: true });
});

test('AES hardware is read from the flags of x86 and the features of arm', () => {
  expect(cpuInfoHasAes('flags\t\t: fpu aes avx\n')).toBe(true);
  expect(cpuInfoHasAes('flags\t\t: fpu vaes avx\n')).toBe(false);
  expect(cpuInfoHasAes('Features\t: fp asimd evtstrm aes\n')).toBe(true);
  expect(cpuInfoHasAes('model name\t: Imaginary aes CPU\nFeatures : fp\n')).toBe(false);
  expect(Aead.hasAesHardware()).toBe(cpuInfoHasAes(readFileSync('/proc/cpuinfo', 'utf8')));
});

test('a text of RFC 8439 §2.8.2 under our associated data equals the ciphertext of the RFC', () => {
  // The ciphertext does not depend on the associated data; the RFC's nonce is 07000000 and then a counter field.
  const key = KEY;
  const text = Buffer.from(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  const expected = Buffer.from(
    'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36' +
      '92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116',
    'hex',
  );
  // Its counter is beyond what sealing would reach, so the opener is given the RFC's nonce and the tag of our data.
  const counterBytes = Buffer.from('4041424344454647', 'hex');
  const header = Buffer.from('c000000011223344', 'hex');
  const sealing = createCipheriv('chacha20-poly1305', key, Buffer.concat([FIXED, counterBytes]), {
    authTagLength: AEAD_TAG_BYTES,
  });
  sealing.setAAD(Buffer.concat([header, Buffer.of(0, 0, 0, 0, text.length)]), {
    plaintextLength: text.length,
  });
  expect(sealing.update(text)).toEqual(expected);
  sealing.final();
  memory.bytes.set(Buffer.concat([header, counterBytes, expected, sealing.getAuthTag()]));
  withAead('chacha20-poly1305', 'open', (opener) => {
    expect(opener.open(0, text.length)).toBe(true);
  });
  expect(memory.bytes.subarray(AEAD_HEADER_BYTES, AEAD_HEADER_BYTES + text.length)).toEqual(
    new Uint8Array(text),
  );
});

test('a text of test case 15 of the GCM specification under our associated data equals its ciphertext', () => {
  // McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B; the ciphertext does not depend on the data.
  const key = Buffer.from('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308', 'hex');
  const fixedIv = Buffer.from('cafebabe', 'hex');
  const counterBytes = Buffer.from('facedbaddecaf888', 'hex');
  const text = Buffer.from(
    'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255',
    'hex',
  );
  const expected = Buffer.from(
    '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad',
    'hex',
  );
  const header = Buffer.from('c000000099aabbcc', 'hex');
  const sealing = createCipheriv('aes-256-gcm', key, Buffer.concat([fixedIv, counterBytes]));
  sealing.setAAD(Buffer.concat([header, Buffer.of(0, 0, 0, 0, text.length)]));
  expect(sealing.update(text)).toEqual(expected);
  sealing.final();
  memory.bytes.set(Buffer.concat([header, counterBytes, expected, sealing.getAuthTag()]));
  withAead(
    'aes-256-gcm',
    'open',
    (opener) => {
      expect(opener.open(0, text.length)).toBe(true);
    },
    key,
    fixedIv,
  );
  expect(Buffer.from(memory.bytes.subarray(AEAD_HEADER_BYTES, AEAD_HEADER_BYTES + text.length))).toEqual(
    text,
  );
});

describe.each<AeadCipher>(['aes-256-gcm', 'chacha20-poly1305'])('%s', (cipher) => {
  test('seals exactly as a plain AEAD of node:crypto, at any place, key, header and size', () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(
      fc.property(
        bytes(32),
        bytes(4),
        bytes(8),
        fc.uint8Array({ maxLength: 1500, size: 'max' }),
        fc.nat({ max: 64 }),
        fc.integer({ min: 1, max: 4 }),
        (key, fixedIv, header, text, at, datagrams) => {
          withAead(
            cipher,
            'seal',
            (sealer) => {
              for (let counter = 0; counter < datagrams; counter++) {
                lay(at, header, text);
                expect(sealer.seal(at, text.length)).toBe(true);
                const expected = reference(cipher, key, fixedIv, header, counter, text);
                expect(datagram(at, text.length).equals(expected)).toBe(true);
              }
              expect(sealer.sealed).toBe(datagrams);
            },
            key,
            fixedIv,
          );
        },
      ),
    );
  });

  test('opens what it sealed at every size from 0 to 1500 and touches nothing around it', () => {
    withAead(cipher, 'seal', (sealer) =>
      withAead(cipher, 'open', (opener) => {
        const at = 5;
        const header = randomBytes(8);
        for (let length = 0; length <= 1500; length++) {
          const text = randomBytes(length);
          memory.bytes.fill(0xee, 0, length + OVERHEAD + 16);
          lay(at, header, text);
          expect(sealer.seal(at, length)).toBe(true);
          expect(opener.open(at, length)).toBe(true);
          const opened = datagram(at, length);
          expect(opened.subarray(0, 8).equals(header)).toBe(true);
          expect(opened.readBigUInt64BE(8)).toBe(BigInt(length));
          expect(opened.subarray(16, 16 + length).equals(text)).toBe(true);
          expect(memory.bytes[at - 1]).toBe(0xee);
          expect(memory.bytes[at + OVERHEAD + length]).toBe(0xee);
        }
      }),
    );
  });

  test('takes the longest plaintext and refuses a longer one', () => {
    const length = AEAD_MAX_PLAINTEXT_BYTES;
    const header = randomBytes(8);
    const text = randomBytes(length);
    withAead(cipher, 'seal', (sealer) => {
      lay(0, header, text);
      expect(sealer.seal(0, length)).toBe(true);
      expect(datagram(0, length).equals(reference(cipher, KEY, FIXED, header, 0, text))).toBe(true);
      expect(codeOf(() => sealer.seal(0, length + 1))).toBe('AEAD_OUTSIDE_MEMORY');
    });
    withAead(cipher, 'open', (opener) => {
      expect(opener.open(0, length)).toBe(true);
    });
    expect(
      datagram(0, length)
        .subarray(16, 16 + length)
        .equals(text),
    ).toBe(true);
  });

  test('refuses a datagram with any single bit changed, and opens the honest one afterwards', () => {
    const text = randomBytes(200);
    withAead(cipher, 'seal', (sealer) => {
      lay(0, randomBytes(8), text);
      sealer.seal(0, text.length);
    });
    const honest = datagram(0, text.length);
    withAead(cipher, 'open', (opener) => {
      for (let index = 0; index < honest.length; index++) {
        memory.bytes.set(honest);
        memory.bytes[index] = (honest[index] ?? 0) ^ (1 << (index & 7));
        expect(opener.open(0, text.length), `byte ${index}`).toBe(false);
      }
      memory.bytes.set(honest);
      expect(opener.open(0, text.length)).toBe(true);
    });
  });

  test('refuses a datagram cut short or stretched', () => {
    const text = randomBytes(64);
    withAead(cipher, 'seal', (sealer) => {
      lay(0, randomBytes(8), text);
      sealer.seal(0, text.length);
    });
    const honest = datagram(0, text.length);
    withAead(cipher, 'open', (opener) => {
      for (const length of [0, 1, 16, 63, 65, 80]) {
        memory.bytes.set(honest);
        expect(opener.open(0, length), `length ${length}`).toBe(false);
      }
    });
  });

  test('leaves nothing of a forged plaintext behind', () => {
    const text = Buffer.alloc(600, 0x41);
    withAead(cipher, 'seal', (sealer) => {
      lay(0, randomBytes(8), text);
      sealer.seal(0, text.length);
    });
    const last = OVERHEAD + text.length - 1;
    memory.bytes[last] = (memory.bytes[last] ?? 0) ^ 1;
    withAead(cipher, 'open', (opener) => {
      expect(opener.open(0, text.length)).toBe(false);
    });
    expect(datagram(0, text.length).includes(Buffer.alloc(8, 0x41))).toBe(false);
  });

  test('refuses the other key, the other fixed part and the other cipher', () => {
    const text = randomBytes(100);
    withAead(cipher, 'seal', (sealer) => {
      lay(0, randomBytes(8), text);
      sealer.seal(0, text.length);
    });
    const honest = datagram(0, text.length);
    const opens = (by: AeadCipher, key: Uint8Array, fixedIv: Uint8Array) => {
      memory.bytes.set(honest);
      return withAead(by, 'open', (opener) => opener.open(0, text.length), key, fixedIv);
    };
    expect(opens(cipher, KEY, FIXED)).toBe(true);
    expect(opens(cipher, randomBytes(32), FIXED)).toBe(false);
    expect(opens(cipher, KEY, Uint8Array.of(7, 0, 0, 1))).toBe(false);
    const other = cipher === 'aes-256-gcm' ? 'chacha20-poly1305' : 'aes-256-gcm';
    expect(opens(other, KEY, FIXED)).toBe(false);
  });

  test('opens datagrams in any order, any number of times, whatever was forged in between', () => {
    const count = 32;
    const stored = withAead(cipher, 'seal', (sealer) =>
      Array.from({ length: count }, (_, index) => {
        lay(0, Buffer.alloc(8, 1), Buffer.alloc(40, index));
        sealer.seal(0, 40);
        return datagram(0, 40);
      }),
    );
    withAead(cipher, 'open', (opener) => {
      fc.assert(
        fc.property(
          fc.array(fc.record({ index: fc.nat({ max: count - 1 }), forge: fc.boolean() })),
          (steps) => {
            for (const { index, forge } of steps) {
              memory.bytes.set(stored[index] ?? Buffer.alloc(0));
              if (forge) memory.bytes[20] = (memory.bytes[20] ?? 0) ^ 0x80;
              expect(opener.open(0, 40)).toBe(!forge);
              if (!forge) expect(memory.bytes[16]).toBe(index);
            }
          },
        ),
      );
    });
  });

  test('keys of many links do not mix', () => {
    const keys = Array.from({ length: 600 }, () => randomBytes(32));
    const sealers = keys.map((key) => new Aead(cipher, key, FIXED, 'seal', memory));
    for (const [index, sealer] of sealers.entries()) {
      const header = Buffer.alloc(8, index);
      lay(0, header, Buffer.alloc(20, 9));
      sealer.seal(0, 20);
      const expected = reference(cipher, keys[index] ?? KEY, FIXED, header, 0, Buffer.alloc(20, 9));
      expect(datagram(0, 20).equals(expected)).toBe(true);
    }
    for (const sealer of sealers) sealer.free();
  });

  test('a key works in one direction only and not after it was freed', () => {
    const sealer = new Aead(cipher, KEY, FIXED, 'seal', memory);
    const opener = new Aead(cipher, KEY, FIXED, 'open', memory);
    expect(codeOf(() => sealer.open(0, 10))).toBe('AEAD_MISUSED');
    expect(codeOf(() => opener.seal(0, 10))).toBe('AEAD_MISUSED');
    sealer.free();
    sealer.free();
    opener.free();
    expect(codeOf(() => sealer.seal(0, 10))).toBe('AEAD_MISUSED');
    expect(codeOf(() => opener.open(0, 10))).toBe('AEAD_MISUSED');
  });

  test('a datagram outside of the memory is a bug, not a memory error', () => {
    withAead(cipher, 'seal', (sealer) => {
      expect(codeOf(() => sealer.seal(-1, 10))).toBe('AEAD_OUTSIDE_MEMORY');
      expect(codeOf(() => sealer.seal(0, -1))).toBe('AEAD_OUTSIDE_MEMORY');
      expect(codeOf(() => sealer.seal(memory.bytes.length - OVERHEAD - 9, 10))).toBe('AEAD_OUTSIDE_MEMORY');
      expect(codeOf(() => sealer.seal(Number.NaN, 10))).toBe('AEAD_OUTSIDE_MEMORY');
      expect(sealer.seal(memory.bytes.length - OVERHEAD - 10, 10)).toBe(true);
    });
  });

  test('keys and fixed parts of a wrong length are refused', () => {
    expect(codeOf(() => new Aead(cipher, new Uint8Array(16), FIXED, 'seal', memory))).toBe(
      'POSIX_BAD_LENGTH',
    );
    expect(codeOf(() => new Aead(cipher, KEY, new Uint8Array(12), 'seal', memory))).toBe('POSIX_BAD_LENGTH');
  });
});
