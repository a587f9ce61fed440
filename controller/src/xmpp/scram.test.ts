import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { PeerError } from '@kith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Scram, type ScramHash } from './scram.ts';

/** The server's side, written a second time from the RFC, to hold the client against. */
function serverSignature(hash: ScramHash, password: string, salt: string, i: number, auth: string): string {
  const size = hash === 'sha1' ? 20 : 32;
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), i, size, hash);
  const key = createHmac(hash, salted).update('Server Key').digest();
  return createHmac(hash, key).update(auth).digest('base64');
}

function proofIsRight(
  hash: ScramHash,
  password: string,
  salt: string,
  i: number,
  auth: string,
  proof: string,
): boolean {
  const size = hash === 'sha1' ? 20 : 32;
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), i, size, hash);
  const stored = createHash(hash).update(createHmac(hash, salted).update('Client Key').digest()).digest();
  const signature = createHmac(hash, stored).update(auth).digest();
  const clientKey = Buffer.from(proof, 'base64').map((byte, k) => byte ^ (signature[k] ?? 0));
  return createHash(hash).update(clientKey).digest().equals(stored);
}

test('speaks the exchange of RFC 5802 §5 (SHA-1)', async () => {
  const scram = new Scram('sha1', 'user', 'pencil', 'fyko+d2lbbFgONRv9qkxdawL');
  expect(scram.first()).toBe('n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL');
  expect(await scram.final('r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096')).toBe(
    'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
  );
  expect(scram.proven).toBe(false);
  scram.verify('v=rmF9pqV8S7suAoZWja4dJRkFsKQ=');
  expect(scram.proven).toBe(true);
});

test('speaks the exchange of RFC 7677 §3 (SHA-256)', async () => {
  const scram = new Scram('sha256', 'user', 'pencil', 'rOprNGfwEbeRWgbNEkqO');
  expect(scram.first()).toBe('n,,n=user,r=rOprNGfwEbeRWgbNEkqO');
  expect(
    await scram.final(
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    ),
  ).toBe(
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  );
  scram.verify('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  expect(scram.proven).toBe(true);
});

test('agrees with a server for any name, password and salt', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<ScramHash>('sha1', 'sha256'),
      fc.stringMatching(/^[ -~]{1,20}$/),
      fc.stringMatching(/^[ -~]{1,40}$/),
      fc.uint8Array({ minLength: 1, maxLength: 32 }),
      async (hash, user, password, saltBytes) => {
        const scram = new Scram(hash, user, password);
        const bare = scram.first().slice(3);
        const nonce = bare.slice(bare.indexOf(',r=') + 3);
        const salt = Buffer.from(saltBytes).toString('base64');
        const serverFirst = `r=${nonce}srv,s=${salt},i=4096`;
        const final = await scram.final(serverFirst);
        const cut = final.lastIndexOf(',p=');
        const auth = `${bare},${serverFirst},${final.slice(0, cut)}`;
        expect(proofIsRight(hash, password, salt, 4096, auth, final.slice(cut + 3))).toBe(true);
        scram.verify(`v=${serverSignature(hash, password, salt, 4096, auth)}`);
        expect(scram.proven).toBe(true);
      },
    ),
    { numRuns: 25 },
  );
});

test.each([
  ['a nonce that is not ours', 'r=zzzz,s=QSXC,i=4096'],
  ['a nonce to which the server added nothing', 'r=abc,s=QSXC,i=4096'],
  ['too few iterations', 'r=abcd,s=QSXC,i=4095'],
  ['too many iterations', 'r=abcd,s=QSXC,i=600001'],
  ['a huge number', 'r=abcd,s=QSXC,i=99999999999999999999'],
  ['a mandatory extension', 'm=x,r=abcd,s=QSXC,i=4096'],
  ['no salt', 'r=abcd,s=,i=4096'],
  ['a long message', `r=abc${'d'.repeat(5000)},s=QSXC,i=4096`],
  ['nothing', ''],
])('refuses a server-first message with %s', async (_what, message) => {
  const scram = new Scram('sha1', 'user', 'pencil', 'abc');
  scram.first();
  await expect(scram.final(message)).rejects.toMatchObject({ code: 'XMPP_SCRAM' });
  expect(scram.proven).toBe(false);
});

test('never throws anything but its own errors on what a server may say', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string(), fc.string(), async (serverFirst, serverFinal) => {
      const scram = new Scram('sha256', 'user', 'pencil', 'abc');
      scram.first();
      await expect(scram.final(serverFirst)).rejects.toBeInstanceOf(PeerError);
      expect(() => scram.verify(serverFinal)).toThrow(PeerError);
    }),
    { numRuns: 200 },
  );
});

test('takes no proof before its time and no wrong proof', async () => {
  const early = new Scram('sha1', 'user', 'pencil', 'abc');
  early.first();
  expect(() => early.verify('v=rmF9pqV8S7suAoZWja4dJRkFsKQ=')).toThrow('did not prove');
  const scram = new Scram('sha1', 'user', 'pencil', 'fyko+d2lbbFgONRv9qkxdawL');
  scram.first();
  await scram.final('r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096');
  for (const wrong of ['', 'e=other-error', 'v=', 'v=AAAA', `v=${Buffer.alloc(20).toString('base64')}`]) {
    expect(() => scram.verify(wrong)).toThrow('did not prove');
  }
  expect(scram.proven).toBe(false);
});

test('prepares credentials as SASLprep says', () => {
  // Decomposed and composed e-acute, no-break space and soft hyphen: RFC 4013 §3 examples and their kin.
  const name = (user: string) => new Scram('sha1', user, 'x', 'n').first();
  expect(name('caf\u0065\u0301')).toBe(name('caf\u00e9'));
  expect(name('I\u00adX')).toBe(name('IX'));
  expect(name('\u00aa')).toBe(name('a'));
  expect(name('a\u00a0b')).toBe(name('a b'));
  expect(name('a=b,c')).toBe('n,,n=a=3Db=2Cc,r=n');
  expect(() => name('a\u0007')).toThrow('forbidden');
  expect(() => new Scram('sha1', 'user', '')).toThrow('empty');
});
