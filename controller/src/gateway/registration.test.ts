import type { Endpoint } from '@kith/protocol';
import { expect, test } from 'vitest';
import { type Account, accountOf, Registration } from './registration.ts';

const UID = 'ab'.repeat(20);
const CALL = { username: 'anna@vpn.test', password: 'secret', host: '203.0.113.1' };
const CLIENT: Endpoint = { address: '127.0.0.1', port: 5000, form: 2 };

function begun(): { registration: Registration; account: Account } {
  const registration = new Registration();
  const account = accountOf(CALL, UID);
  registration.replace(account);
  return { registration, account };
}

test("an account is the bare JID with IPOP's resource, at the host by STARTTLS", () => {
  expect(accountOf(CALL, UID)).toEqual({
    jid: 'anna@vpn.test',
    password: 'secret',
    server: 'xmpp://203.0.113.1:5222',
    resource: `tincan${UID}`,
    uid: UID,
  });
  expect(accountOf({ ...CALL, port: 5333 }, UID).server).toBe('xmpp://203.0.113.1:5333');
  expect(accountOf({ ...CALL, host: '2001:db8::1' }, UID).server).toBe('xmpp://[2001:db8::1]:5222');
  expect(accountOf({ ...CALL, host: '[2001:db8::1]' }, UID).server).toBe('xmpp://[2001:db8::1]:5222');
  expect(accountOf({ ...CALL, username: 'anna', host: 'vpn.test' }, UID).jid).toBe('anna@vpn.test');
});

test.each(['username', 'password', 'host'] as const)('an empty %s is named', (field) => {
  expect(() => accountOf({ ...CALL, [field]: '' }, UID)).toThrow(
    expect.objectContaining({ code: 'API_FIELD', field }),
  );
});

test('who waits hears of success once, and who comes later at once', () => {
  const { registration } = begun();
  expect(registration.wait({ client: CLIENT, id: 1 })).toBeUndefined();
  expect(registration.hubState({ state: 'connecting', detail: null })).toMatchObject({
    succeeded: [],
    failed: [],
    tell: false,
  });
  expect(registration.hubState({ state: 'online', detail: null })).toMatchObject({
    succeeded: [{ id: 1 }],
    failed: [],
    tell: true,
  });
  expect(registration.hubState({ state: 'online', detail: null })).toMatchObject({
    succeeded: [],
    tell: false,
  });
  expect(registration.wait({ client: CLIENT, id: 2 })).toBe(true);
});

test.each([
  ['waiting', 'XMPP_CONNECT: cannot reach the hub: ECONNREFUSED', 'XMPP_CONNECT'],
  ['refused', 'XMPP_REFUSED: the hub does not accept our credentials', 'XMPP_REFUSED'],
  ['conflict', 'XMPP_CONFLICT: another one', 'XMPP_CONFLICT'],
  ['waiting', null, 'XMPP_CLOSED'],
] as const)('%s fails those who wait with the code of %s', (state, detail, code) => {
  const { registration } = begun();
  registration.wait({ client: CLIENT, id: 1 });
  const verdict = registration.hubState({ state, detail });
  expect(verdict.failed).toMatchObject([{ id: 1 }]);
  expect(verdict.error).toMatchObject({ code });
  // While it is so, nobody need wait to hear it.
  expect(registration.wait({ client: CLIENT, id: 2 })).toMatchObject({ code });
  expect(registration.report).toMatchObject({ state, detail, jid: `anna@vpn.test/tincan${UID}` });
});

test('a loss and its end are told once each, further tries that fail alike are not', () => {
  const { registration } = begun();
  const told = (['online', 'waiting', 'connecting', 'waiting', 'connecting', 'online'] as const).map(
    (state) => registration.hubState({ state, detail: state === 'online' ? null : 'XMPP_CLOSED: gone' }).tell,
  );
  expect(told).toEqual([true, true, false, false, false, true]);
});

test('another account replaces the first, the same one does not, and those who waited are given back', () => {
  const { registration, account } = begun();
  expect(registration.isSame(accountOf(CALL, UID))).toBe(true);
  const other = { ...account, password: 'other' };
  expect(registration.isSame(other)).toBe(false);
  registration.wait({ client: CLIENT, id: 1 });
  expect(registration.replace(other)).toMatchObject([{ id: 1 }]);
  expect(registration.isSame(account)).toBe(false);
});

test('seventeen may not wait', () => {
  const { registration } = begun();
  for (let id = 0; id < 16; id++) expect(registration.wait({ client: CLIENT, id })).toBeUndefined();
  expect(registration.wait({ client: CLIENT, id: 16 })).toMatchObject({ code: 'API_BUSY' });
});
