import type { Hello, SecurityTerms } from '@kith/protocol';
import { expect, test } from 'vitest';
import { LinkAgreement } from './link-agreement.ts';

const MINE: SecurityTerms = { mode: 'groups', groups: ['home'], without_common_group: 'plain' };
const THEIRS: SecurityTerms = { ...MINE, groups: ['work'] };
const ACCOUNTS = { mine: 'a'.repeat(64), theirs: 'b'.repeat(64) };
const TERMS = {
  encrypted: false,
  security: { mine: MINE, theirs: THEIRS },
  accounts: ACCOUNTS,
  translation: undefined,
};

function hello(changes: Partial<Hello> = {}): Hello {
  return {
    ...{ t: 'hello', v: 1, uid: '00'.repeat(20), attempt: 1, ip4: null, ip6: null, features: [] },
    security: THEIRS,
    heard: MINE,
    accounts: { mine: ACCOUNTS.theirs, theirs: ACCOUNTS.mine },
    ...changes,
  };
}

test('before the peer has said anything there is what the controller brought', () => {
  const agreement = new LinkAgreement(TERMS);
  expect(agreement).toMatchObject({ hello: undefined, refusal: undefined, isPlain: false, mismatch: null });
  expect(agreement.isEncrypted).toBe(false);
});

test('what the second call leaves out stands from the first', () => {
  const agreement = new LinkAgreement(TERMS);
  agreement.setTerms({ encrypted: true, security: undefined, accounts: undefined, translation: undefined });
  expect(agreement.isEncrypted).toBe(true);
  expect(agreement.accept(hello({ accounts: { mine: 'c'.repeat(64), theirs: ACCOUNTS.mine } }))).toBe(false);
});

test('a peer of another account is refused, and what it said is not taken', () => {
  const agreement = new LinkAgreement(TERMS);
  expect(agreement.accept(hello({ accounts: { mine: 'c'.repeat(64), theirs: ACCOUNTS.mine } }))).toBe(false);
  expect(agreement.refusal?.code).toBe('ACCOUNT_MISMATCH');
  expect(agreement.hello).toBeUndefined();
});

test('without a common group, and with both ends’ word for it inside DTLS, datagrams may go in the clear', () => {
  const agreement = new LinkAgreement(TERMS);
  expect(agreement.accept(hello())).toBe(true);
  expect(agreement).toMatchObject({ isEncrypted: false, isPlain: true, mismatch: null });
});

test('groups that arrived changed keep the link encrypted, whatever the controller said', () => {
  const agreement = new LinkAgreement(TERMS);
  expect(agreement.accept(hello({ heard: { ...MINE, groups: [] } }))).toBe(true);
  expect(agreement).toMatchObject({ isEncrypted: true, isPlain: false });
  expect(agreement.mismatch).toContain('changed over XMPP');
});
