import type { Hello, SecurityTerms } from '@kith/protocol';
import { decideSecurity } from '@kith/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { proveSecurity } from './hello-security.ts';

function hello(security: SecurityTerms | null, heard: SecurityTerms | null): Hello {
  return {
    t: 'hello',
    v: 1,
    uid: 'a'.repeat(40),
    attempt: 1,
    ip4: null,
    ip6: null,
    security,
    heard,
    features: [],
  };
}

const terms: fc.Arbitrary<SecurityTerms> = fc.record({
  mode: fc.constantFrom('always' as const, 'groups' as const, 'never' as const),
  groups: fc.uniqueArray(fc.constantFrom('a', 'b', 'c')),
  without_common_group: fc.constantFrom('plain' as const, 'refuse' as const),
});

/** What one end concludes when XMPP told it `heardOfPeer` instead of `peer`, and told the peer `peerHeard` instead of `me`. */
function conclude(
  me: SecurityTerms,
  peer: SecurityTerms,
  heardOfPeer: SecurityTerms,
  peerHeard: SecurityTerms,
) {
  const encrypted = decideSecurity(me, heardOfPeer).security !== 'plain';
  return proveSecurity({ encrypted, terms: { mine: me, theirs: heardOfPeer } }, hello(peer, peerHeard));
}

test('a man in the middle at the XMPP server who empties the group lists does not get a plain link', () => {
  const friends: SecurityTerms = { mode: 'groups', groups: ['friends'], without_common_group: 'plain' };
  const emptied: SecurityTerms = { ...friends, groups: [] };
  // He empties both ways, or either way alone; nobody is fooled.
  for (const [heardOfPeer, peerHeard] of [
    [emptied, emptied],
    [emptied, friends],
    [friends, emptied],
  ] as const) {
    const proved = conclude(friends, friends, heardOfPeer, peerHeard);
    expect(proved).toMatchObject({ encrypted: true, plain: false });
    expect(proved.mismatch).toMatch(/changed over XMPP/);
  }
});

test('whatever is changed on the way, a link is plain only when the true terms of both ends say plain', () => {
  fc.assert(
    fc.property(terms, terms, terms, terms, (me, peer, heardOfPeer, peerHeard) => {
      const proved = conclude(me, peer, heardOfPeer, peerHeard);
      if (proved.plain) expect(decideSecurity(me, peer).security).toBe('plain');
      expect(proved.plain && proved.encrypted).toBe(false);
    }),
  );
});

test('untouched terms that say plain give a plain link at both ends', () => {
  fc.assert(
    fc.property(terms, terms, (me, peer) => {
      const isPlain = decideSecurity(me, peer).security === 'plain';
      expect(conclude(me, peer, peer, me)).toEqual({ encrypted: !isPlain, mismatch: null, plain: isPlain });
      expect(conclude(peer, me, me, peer).plain).toBe(isPlain);
    }),
  );
});

test('what cannot be confirmed inside DTLS is not plain, even where the controller asks for it', () => {
  const never: SecurityTerms = { mode: 'never', groups: [], without_common_group: 'plain' };
  const both = { mine: never, theirs: never };
  expect(proveSecurity({ encrypted: false, terms: undefined }, hello(never, never)).plain).toBe(false);
  expect(proveSecurity({ encrypted: false, terms: both }, hello(null, never)).plain).toBe(false);
  expect(proveSecurity({ encrypted: false, terms: both }, hello(never, null)).plain).toBe(false);
  expect(proveSecurity({ encrypted: true, terms: both }, hello(never, never)).plain).toBe(false);
});

test('an end that names no terms wants encryption, whatever the other one claims', () => {
  const never: SecurityTerms = { mode: 'never', groups: [], without_common_group: 'plain' };
  const claimed = { encrypted: false, terms: { mine: never, theirs: never } };
  expect(proveSecurity(claimed, hello(null, null))).toEqual({
    encrypted: true,
    mismatch: null,
    plain: false,
  });
  expect(proveSecurity({ encrypted: true, terms: undefined }, hello(never, never))).toMatchObject({
    encrypted: true,
    plain: false,
  });
  expect(proveSecurity(claimed, hello(never, never))).toMatchObject({ encrypted: false, plain: true });
});
