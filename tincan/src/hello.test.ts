import { accountDigest, type Hello } from '@kith/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountRefusal, helloOf, layerText } from './hello.ts';
import type { LocalNode } from './link-types.ts';

const node = (layer: 2 | 3): LocalNode => ({
  identity: { certificatePem: '', keyPem: '', fingerprint: '', uid: 'a'.repeat(40), mac: new Uint8Array(6) },
  ...{ ip4: '172.31.0.1', ip6: null, direct: undefined, layer: () => layer, isExcluded: () => false },
});
const person = fc.constantFrom('alice@x.test', 'bob@x.test', 'mallory@x.test');
const pair = (mine: string, theirs: string) => ({ mine: accountDigest(mine), theirs: accountDigest(theirs) });

function conclude(me: string, told: string, peer: string, peerTold: string) {
  const said = helloOf(node(2), 1, undefined, pair(peer, peerTold));
  return accountRefusal(pair(me, told), said);
}

test('whoever signals in whose name: both ends accept, or both refuse, and they accept the truth alone', () => {
  fc.assert(
    fc.property(person, person, person, person, (a, b, toldA, toldB) => {
      const atA = conclude(a, toldA, b, toldB);
      const atB = conclude(b, toldB, a, toldA);
      const isTrue = toldA === b && toldB === a;
      expect([atA === undefined, atB === undefined]).toEqual([isTrue, isTrue]);
      // The peer's own word about itself is what decides whether anything is wrong with the peer.
      if (!isTrue) expect(atA?.code).toBe(toldA === b ? 'ACCOUNT_MISTOLD' : 'ACCOUNT_MISMATCH');
    }),
    { numRuns: 1_000 },
  );
});

test('a member who hands on the signals of two others under his own name gets neither for his own', () => {
  const [alice, bob] = [
    conclude('alice@x.test', 'mallory@x.test', 'bob@x.test', 'mallory@x.test'),
    conclude('bob@x.test', 'mallory@x.test', 'alice@x.test', 'mallory@x.test'),
  ];
  for (const refusal of [alice, bob]) {
    expect(refusal).toMatchObject({ fault: 'peer', code: 'ACCOUNT_MISMATCH', field: 'accounts.mine' });
    expect(refusal?.message).toContain('belongs to another account');
  }
});

test('two nodes of one account belong together', () => {
  expect(conclude('bob@x.test', 'bob@x.test', 'bob@x.test', 'bob@x.test')).toBeUndefined();
});

test('a controller that knows of no accounts has nothing compared; one that does is not content with a peer that does not say', () => {
  const silent = helloOf(node(2), 1, undefined, undefined);
  expect(silent).not.toHaveProperty('accounts');
  expect(accountRefusal(undefined, silent)).toBeUndefined();
  const said = helloOf(node(2), 1, undefined, pair('bob@x.test', 'alice@x.test'));
  expect(accountRefusal(undefined, said)).toBeUndefined();
  expect(accountRefusal(pair('alice@x.test', 'bob@x.test'), silent)).toMatchObject({ field: 'accounts' });
});

test('a hello says the layer, and the story of a link tells where the two ends differ', () => {
  const hello = (layer: 2 | 3): Hello => helloOf(node(layer), 1, undefined, undefined);
  expect([hello(2).layer, hello(3).layer]).toEqual([2, 3]);
  expect(layerText(node(2), hello(3))).toBe('; the peer runs layer 3, this node layer 2');
  expect(layerText(node(3), hello(3))).toBe('');
  expect(layerText(node(3), {})).toBe('');
});
