import { afterEach, describe, expect, test } from 'vitest';
import { DOMAIN, PASSWORD } from './fake-hub.test.helper.ts';
import { cleanUp, isRefused, meet, next, online, reaches } from './session.test.helper.ts';

afterEach(cleanUp);

describe('signing in', () => {
  test('says nothing but the domain to a hub that offers no STARTTLS', async () => {
    const hub = await isRefused({ tls: 'naked' }, 'XMPP_NO_STARTTLS');
    expect(hub.last.received).toMatch(/^<\?xml version='1.0'\?><stream:stream [^>]*>$/);
    expect(hub.last.received).not.toContain('alice');
  });

  test('takes no refusal of STARTTLS for an answer', async () => {
    const hub = await isRefused({ tls: 'denied' }, 'XMPP_NO_STARTTLS');
    expect(hub.last.received).not.toContain('auth');
  });

  test('goes through STARTTLS and forgets what was said before it', async () => {
    const injected =
      "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>";
    const { hub } = await online({ tls: 'starttls', injected });
    expect(hub.last.received).not.toContain('PLAIN');
  });

  test('signs in nowhere without SCRAM, and offers the password to nobody', async () => {
    const hub = await isRefused({ mechanisms: ['PLAIN', 'ANONYMOUS', 'DIGEST-MD5'] }, 'XMPP_NO_SCRAM');
    expect(hub.last.received).not.toContain('<auth');
  });

  test('binds nothing before it has signed in', async () => {
    const early = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";
    const hub = await isRefused({ mechanisms: [], early }, 'XMPP_NO_SCRAM');
    expect(hub.last.received).not.toContain('bind');
  });

  test('refuses a hub that does not prove that it knows the password', async () => {
    for (const proof of ['wrong', 'none'] as const) {
      const hub = await isRefused({ proof }, 'XMPP_SERVER_UNPROVEN');
      expect(hub.last.received).not.toContain('bind');
    }
  });

  test('takes the proof with the success or as a last challenge, and the stronger hash', async () => {
    const one = await online({ proof: 'challenge' });
    expect(one.hub.last.received).toContain('mechanism="SCRAM-SHA-1"');
    const two = await online({ mechanisms: ['PLAIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256'] });
    expect(two.hub.last.received).toContain('mechanism="SCRAM-SHA-256"');
    for (const { hub } of [one, two]) expect(hub.last.received).not.toContain(PASSWORD);
  });

  test('is a conflict if the hub binds another resource than ours', async () => {
    const { session } = await meet({ resource: 'kith-b' });
    const there = reaches(session, 'conflict');
    session.start();
    expect((await there).detail).toContain('XMPP_BIND');
  });

  test('reads the roster, then shows itself with a priority below zero', async () => {
    const { hub, session } = await meet({
      roster: "<item jid='Bob@VPN.test' subscription='both'><group>g</group></item><item jid='@'/>",
    });
    const roster = next(session, 'roster');
    const there = reaches(session, 'online');
    session.start();
    expect(await roster).toEqual([{ jid: `bob@${DOMAIN}`, name: null, groups: ['g'], subscription: 'both' }]);
    await there;
    const presence = await new Promise<string>((resolve) => {
      const look = () => {
        const found = hub.last.stanzas.find((stanza) => stanza.is('presence'));
        if (found === undefined) setImmediate(look);
        else resolve(found.toString());
      };
      look();
    });
    expect(presence).toBe('<presence><priority>-1</priority></presence>');
  });

  test('keeps letters whole whose bytes come apart', async () => {
    const name = 'Zoë 日本 🦊';
    const roster = `<item jid='bob@${DOMAIN}' name='${name}' subscription='both'/>`;
    const { session } = await meet({
      onStanza: (peer, stanza) => {
        if (stanza.attrs.type !== 'get') return false;
        const text = `<iq type='result' id='${stanza.attrs.id}'><query xmlns='jabber:iq:roster'>${roster}</query></iq>`;
        // Each byte in a TLS record of its own.
        for (const byte of Buffer.from(text)) peer.sendBytes(Uint8Array.of(byte));
        return true;
      },
    });
    const contacts = next(session, 'roster');
    session.start();
    expect((await contacts)[0]?.name).toBe(name);
  });

  test('does not follow a hub that sends it elsewhere', async () => {
    const { hub, session } = await online();
    const gone = reaches(session, 'waiting');
    const errors = "xmlns='urn:ietf:params:xml:ns:xmpp-streams'";
    hub.last.send(`<stream:error><see-other-host ${errors}>127.0.0.1:9</see-other-host></stream:error>`);
    expect((await gone).detail).toContain('see-other-host');
    await reaches(session, 'online');
    expect(hub.peers).toHaveLength(2);
  });
});
