import { type Element, xml } from '@xmpp/client';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { domainOf, normalJid, resourceOf } from './jid.ts';
import { NS } from './namespaces.ts';
import { parseServer } from './server-url.ts';
import { parseSignal, SIGNAL_DATA_MAX, signalStanza } from './signal-stanza.ts';
import {
  errorCondition,
  errorStanza,
  nestedDeeper,
  parsePresence,
  parsePush,
  parseRoster,
  parseServices,
  resultStanza,
} from './stanza.ts';
import { conditionOf, saslLoss, streamLoss } from './stream-error.ts';

/** Through text and back, as over the wire. */
function wire(element: Element): Element {
  const parser = new xml.Parser();
  let out: Element | undefined;
  parser.on('element', (parsed: Element) => {
    out = parsed;
  });
  parser.write(`<stream xmlns='jabber:client'>${element.toString()}`);
  if (out === undefined) throw new Error('nothing came out');
  return out;
}

const name = fc.constantFrom(
  ...[
    'iq',
    'query',
    'item',
    'group',
    'data',
    'type',
    'services',
    'service',
    'error',
    'text',
    'presence',
    'x:y',
    'conflict',
  ],
);
const value = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.constantFrom('both', 'remove', 'turn', 'udp', 'a@b/c', '3478', '1e9', ...Object.values(NS)),
);
const attrs = fc.dictionary(
  fc.constantFrom(
    'xmlns',
    'from',
    'jid',
    'type',
    'subscription',
    'host',
    'port',
    'transport',
    'expires',
    '__proto__',
  ),
  value,
);
const { element: anyElement } = fc.letrec<{ element: Element }>((tie) => ({
  element: fc
    .tuple(
      name,
      attrs,
      fc.array(fc.oneof({ maxDepth: 4 }, fc.string({ maxLength: 10 }), tie('element')), { maxLength: 4 }),
    )
    .map(([tag, given, children]) => xml(tag, given, ...children)),
}));

test('nothing that looks like a stanza makes a parser throw', () => {
  fc.assert(
    fc.property(anyElement, (element) => {
      for (const item of [...parseRoster(element), parsePush(element) ?? []].flat()) {
        expect(normalJid(item.jid)).toBe(item.jid);
      }
      const presence = parsePresence(element);
      if (presence !== null) expect(resourceOf(presence.from)).not.toBeNull();
      const body = parseSignal(element);
      if (body !== null) expect(body.data).toMatch(/^[\t\n -~]*$/);
      for (const { host, port } of parseServices(element)) {
        expect(host).not.toBe('');
        expect(port).toBeGreaterThan(0);
      }
      expect(errorCondition(element)).not.toBe('');
      expect(streamLoss(element).error.code).toBe('XMPP_STREAM_ERROR');
      expect(saslLoss(conditionOf(element)).kind).toBe('refused');
      expect(errorStanza(element, 'bad-request').attrs.type).toBe('error');
      expect(resultStanza(element).children).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

test('a signal comes out as it went in', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[!-~]{1,64}$/), fc.stringMatching(/^[\t\n -~]{0,200}$/), (type, data) => {
      const stanza = wire(signalStanza('i', 'bob@vpn.test/kith-b', { type, data }));
      expect(stanza.attrs).toMatchObject({ type: 'set', id: 'i', to: 'bob@vpn.test/kith-b' });
      const query = stanza.getChild('query', NS.tincan);
      expect(query === undefined ? null : parseSignal(query)).toEqual({ type, data });
    }),
  );
});

test('a signal that is too long, not ASCII or not simple is none', () => {
  const parse = (...children: Element[]) =>
    parseSignal(wire(xml('query', { xmlns: NS.tincan }, ...children)));
  const type = xml('type', {}, 't');
  expect(parse(type, xml('data', {}))).toEqual({ type: 't', data: '' });
  expect(parse(type, xml('data', {}, 'x'.repeat(SIGNAL_DATA_MAX)))).not.toBeNull();
  expect(parse(type, xml('data', {}, 'x'.repeat(SIGNAL_DATA_MAX + 1)))).toBeNull();
  expect(parse(type, xml('data', {}, '\u00e9'))).toBeNull();
  expect(parse(type, xml('data', {}, xml('b', {})))).toBeNull();
  expect(parse(type, type, xml('data', {}, 'x'))).toBeNull();
  expect(parse(type, xml('data', { xmlns: 'other' }, 'x'))).toBeNull();
  expect(parse(xml('type', {}, 'x'.repeat(65)), xml('data', {}))).toBeNull();
});

test('the roster is read with what makes no sense left out', () => {
  const items = [
    xml(
      'item',
      { jid: 'Bob@VPN.test', name: 'Bob', subscription: 'both' },
      xml('group', {}, 'a'),
      xml('group', {}, 'a'),
    ),
    xml('item', { jid: 'carol@vpn.test' }),
    xml('item', { jid: 'dave@vpn.test', subscription: 'remove' }),
    xml('item', { jid: 'e v e@vpn.test', subscription: 'both' }),
    xml('item', {}),
  ];
  expect(parseRoster(wire(xml('iq', {}, xml('query', { xmlns: NS.roster }, ...items))))).toEqual([
    { jid: 'bob@vpn.test', name: 'Bob', groups: ['a'], subscription: 'both' },
    { jid: 'carol@vpn.test', name: null, groups: [], subscription: 'none' },
  ]);
});

test('services are read with their defaults, and hosts that are none left out', () => {
  const services = [
    {
      type: 'turn',
      host: '192.0.2.1',
      port: '3478',
      transport: 'udp',
      username: 'u',
      password: 'p',
      expires: '2030-01-01T00:00:00Z',
    },
    { type: 'stun', host: 'stun.test' },
    { type: 'turns', host: '2001:db8::1' },
    { type: 'turn', host: 'a b' },
    { type: 'turn', host: 'h', port: '70000' },
    { type: 'turn', host: 'h', transport: 'sctp' },
    { type: 'ftp', host: 'h' },
  ].map((given) => xml('service', given));
  expect(parseServices(wire(xml('iq', {}, xml('services', { xmlns: NS.extdisco }, ...services))))).toEqual([
    {
      ...{ type: 'turn', host: '192.0.2.1', port: 3478, transport: 'udp', username: 'u', password: 'p' },
      expires: Date.UTC(2030, 0, 1),
    },
    { type: 'stun', host: 'stun.test', port: 3478, transport: 'udp' },
    { type: 'turns', host: '2001:db8::1', port: 5349, transport: 'tcp' },
  ]);
});

test('depth is measured without recursion', () => {
  let deep = xml('a', {});
  for (let i = 0; i < 100_000; i++) deep = xml('a', {}, deep);
  expect(nestedDeeper(deep, 32)).toBe(true);
  expect(nestedDeeper(xml('a', {}, xml('b', {}, 'text')), 1)).toBe(false);
  expect(nestedDeeper(xml('a', {}, xml('b', {})), 0)).toBe(true);
});

test('addresses are brought into one form, or are none', () => {
  expect(normalJid('Alice@VPN.Test/Kith-A/b')).toBe('alice@vpn.test/Kith-A/b');
  expect(domainOf('alice@vpn.test/a@b')).toBe('vpn.test');
  for (const bad of [
    '',
    '@',
    'a@',
    '@b',
    'a@b@c',
    'a@b/',
    'a b@c',
    'a@b/\u0000',
    `a@${'b'.repeat(4000)}`,
    undefined,
  ]) {
    expect(normalJid(bad)).toBeNull();
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      const jid = normalJid(text);
      if (jid !== null) expect(normalJid(jid)).toBe(jid);
    }),
  );
});

test('servers are xmpps, xmpp or wss, with the registered ports as default', () => {
  expect(parseServer('xmpps://h')).toEqual({ kind: 'tls', host: 'h', port: 5223 });
  expect(parseServer('xmpp://[2001:db8::1]')).toEqual({ kind: 'starttls', host: '2001:db8::1', port: 5222 });
  expect(parseServer('xmpp://h:1')).toEqual({ kind: 'starttls', host: 'h', port: 1 });
  expect(parseServer('wss://h/ws')).toEqual({ kind: 'wss', url: 'wss://h/ws' });
  for (const bad of [
    'h',
    'ws://h',
    'https://h',
    'xmpp://',
    'xmpps://h/x',
    'xmpp://u:p@h',
    'xmpp://h?x',
    'xmpp://h:99999',
  ]) {
    expect(() => parseServer(bad)).toThrow();
  }
});
