import { monotonicMs } from '@kith/base';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { DOMAIN } from './fake-hub.test.helper.ts';
import { answerTo, BOB, cleanUp, log, ME, meet, next, online, reaches } from './session.test.helper.ts';
import { XmppSession } from './session.ts';

afterEach(cleanUp);

describe('what comes in', () => {
  test('a roster push is taken from the own account only', async () => {
    const { hub, session } = await online();
    const pushed: string[] = [];
    session.on('roster-push', ({ jid, subscription }) => pushed.push(`${jid} ${subscription}`));
    const push = (id: string, from: string | null, item: string) =>
      hub.last.send(
        `<iq type='set' id='${id}'${from === null ? '' : ` from='${from}'`}><query xmlns='jabber:iq:roster'>${item}</query></iq>`,
      );
    push('p1', 'mallory@vpn.test', "<item jid='mallory@vpn.test' subscription='both'/>");
    push('p2', `${ME}x`, "<item jid='mallory@vpn.test' subscription='both'/>");
    push('p3', DOMAIN, "<item jid='mallory@vpn.test' subscription='both'/>");
    push('p4', null, "<item jid='bob@vpn.test' subscription='both'/>");
    push('p5', ME.toUpperCase(), "<item jid='bob@vpn.test' subscription='remove'/>");
    push('p6', null, "<item jid='a@vpn.test'/><item jid='b@vpn.test'/>");
    push('p7', null, "<item jid='bob@vpn.test' subscription='everything'/>");
    expect((await answerTo(hub, 'p7')).attrs.type).toBe('error');
    expect(pushed).toEqual(['bob@vpn.test both', 'bob@vpn.test remove']);
    expect(session.counters.pushes_forged).toBe(3);
    expect((await answerTo(hub, 'p1')).getChild('error')?.getChild('service-unavailable')).toBeDefined();
    expect((await answerTo(hub, 'p4')).attrs.type).toBe('result');
  });

  test('every request is answered, and only what we know is known', async () => {
    const { hub, session } = await online();
    const ask = (id: string, type: string, body: string) =>
      hub.last.send(`<iq type='${type}' id='${id}' from='${BOB}'>${body}</iq>`);
    const error = async (id: string) =>
      (await answerTo(hub, id)).getChild('error')?.getChildElements()[0]?.name;
    const tincan = (body: string) => `<query xmlns='jabber:iq:tincan'>${body}</query>`;
    ask('q1', 'get', "<query xmlns='jabber:iq:version'/>");
    ask('q2', 'get', "<ping xmlns='urn:xmpp:ping'/>");
    ask('q3', 'set', '');
    ask('q4', 'set', '<a/><b/>');
    ask('q5', 'set', tincan('<type>con_req</type>'));
    ask('q6', 'set', tincan('<type>con_req</type><data>é</data>'));
    ask('q7', 'set', tincan('<type>con_req</type><data>x</data>'));
    ask('q8', 'get', `${'<a>'.repeat(50_000)}${'</a>'.repeat(50_000)}`);
    ask('q9', 'set', tincan(`<type>con_req</type><data>${'x'.repeat(70_000)}</data>`));
    expect(await error('q9')).toBe('bad-request');
    expect(await error('q1')).toBe('service-unavailable');
    expect((await answerTo(hub, 'q2')).attrs).toMatchObject({ type: 'result', to: BOB });
    for (const id of ['q3', 'q4', 'q5', 'q6', 'q8']) expect(await error(id)).toBe('bad-request');
    // Nobody listens to signals.
    expect(await error('q7')).toBe('service-unavailable');
    expect(session.counters).toMatchObject({ signals_malformed: 3, signals_received: 1 });
    expect(session.state.state).toBe('online');
  });

  test('too many signals without an answer are refused, and stopping forgets the rest', async () => {
    const { hub, session } = await online();
    session.on('signal', () => {});
    for (let i = 0; i < 257; i++) {
      hub.last.send(
        `<iq type='set' id='s${i}' from='${BOB}'><query xmlns='jabber:iq:tincan'><type>t</type><data/></query></iq>`,
      );
    }
    const answer = await answerTo(hub, 's256');
    expect(answer.getChild('error')?.getChildElements()[0]?.name).toBe('resource-constraint');
    expect(session.counters).toMatchObject({ signals_received: 256, signals_overrun: 1 });
  });

  test('what a node says of itself goes out with the presence, and again when it changes', async () => {
    const { hub, session } = await online();
    session.announce({ ip4: '10.0.0.7', kind: 'auto' });
    // Presence and answer take the same way, so the one is there before the other.
    hub.last.send("<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>");
    await answerTo(hub, 'end');
    const sent = hub.last.stanzas.filter((stanza) => stanza.is('presence')).map(String);
    expect(sent).toHaveLength(2);
    expect(sent.at(-1)).toContain('<node xmlns="urn:kith:node:1" kind="auto" ip4="10.0.0.7"/>');
    const heard: unknown[] = [];
    session.on('presence', ({ node }) => heard.push(node));
    const child = (attributes: string) => `<node xmlns='urn:kith:node:1' ${attributes}/>`;
    for (const body of [
      child("kind='static' ip4='10.0.0.8'"),
      child("kind='auto'"),
      child("kind='auto' ip4='10.0.0.256'"),
      child("ip4='10.0.0.8'"),
      child("kind='static'") + child("kind='auto'"),
      '',
    ]) {
      hub.last.send(`<presence from='${BOB}'>${body}</presence>`);
    }
    hub.last.send("<iq type='get' id='end2'><ping xmlns='urn:xmpp:ping'/></iq>");
    await answerTo(hub, 'end2');
    expect(heard).toEqual([
      { ip4: '10.0.0.8', kind: 'static' },
      { ip4: null, kind: 'auto' },
      ...Array(4).fill(undefined),
    ]);
  });

  test('a change of the block list is taken from the own account only', async () => {
    const { hub, session } = await online();
    const heard: string[] = [];
    session.on('blocked', ({ what, jids }) => heard.push(`${what} ${jids.join()}`));
    const push = (id: string, from: string, name: string, items: string) =>
      hub.last.send(
        `<iq type='set' id='${id}' from='${from}'><${name} xmlns='urn:xmpp:blocking'>${items}</${name}></iq>`,
      );
    push('b1', 'mallory@vpn.test', 'block', "<item jid='bob@vpn.test'/>");
    push('b2', ME, 'block', "<item jid='Bob@VPN.test'/><item jid='@'/><item jid='evil.test'/>");
    push('b3', ME, 'unblock', "<item jid='evil.test'/>");
    push('b4', ME, 'unblock', '');
    push('b5', ME, 'blocklist', '');
    expect((await answerTo(hub, 'b5')).attrs.type).toBe('error');
    expect(heard).toEqual(['add bob@vpn.test,evil.test', 'remove evil.test', 'all ']);
    expect((await answerTo(hub, 'b2')).attrs.type).toBe('result');
    expect(session.counters.pushes_forged).toBe(1);
  });

  test('presence tells of resources, not of subscriptions, errors or ourselves', async () => {
    const { hub, session } = await online();
    const seen: string[] = [];
    session.on('presence', ({ from, available }) => seen.push(`${from} ${available}`));
    hub.last.send(
      `<presence from='${ME}/kith-a'/><presence from='${ME}/kith-c'/><presence from='bob@vpn.test'/>`,
    );
    hub.last.send(
      `<presence type='subscribe' from='${BOB}'/><presence type='error' from='${BOB}'/><presence from='/'/>`,
    );
    hub.last.send(`<presence from='Bob@VPN.test/Kith-B'/><presence type='unavailable' from='${BOB}'/>`);
    hub.last.send("<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>");
    await answerTo(hub, 'end');
    expect(seen).toEqual([`${ME}/kith-c true`, 'bob@vpn.test/Kith-B true', `${BOB} false`]);
  });

  test.each([
    ['a closing tag for nothing', '</iq>'],
    ['tags that cross', '<iq><a></iq></a>'],
    ['an entity that XML does not know', '<message>&boom;</message>'],
    ['a forbidden character', '<message>&#0;</message>'],
    ['an end of the stream', '</stream:stream>'],
  ])('%s ends the connection, not the session', async (_what, text) => {
    const { hub, session } = await online();
    const gone = reaches(session, 'waiting');
    hub.last.send(text);
    await gone;
    await reaches(session, 'online');
    expect(hub.peers).toHaveLength(2);
  });

  test('a stanza without end is cut off', async () => {
    const { hub, session } = await online();
    const gone = reaches(session, 'waiting');
    hub.last.send('<message><body>');
    for (let i = 0; i < 5; i++) hub.last.send('x'.repeat(1024 * 1024));
    expect((await gone).detail).toContain('XMPP_STANZA_TOO_LARGE');
  });

  test('no text whatever makes it throw', async () => {
    const token = fc.constantFrom(
      ...[
        '<iq ',
        '<presence ',
        '<message ',
        "type='set' ",
        "type='result' ",
        "type='x' ",
        "id='1' ",
        "from='/' ",
      ],
      ...[
        "from='a@b/c' ",
        "from='@' ",
        '>',
        '/>',
        '</iq>',
        '</query>',
        "<query xmlns='jabber:iq:tincan'>",
        '<type>',
      ],
      ...[
        "<query xmlns='jabber:iq:roster'>",
        '<item ',
        "jid='' ",
        '</type>',
        '<data/>',
        '&lt;',
        "<a xmlns='urn:xmpp:sm:3' ",
      ],
      ...[
        "h='-1' ",
        "<r xmlns='urn:xmpp:sm:3'/>",
        '<error/>',
        '<![CDATA[',
        ']]>',
        '<!--',
        '-->',
        'é',
        '\u0000',
        ' ',
      ],
    );
    await fc.assert(
      fc.asyncProperty(fc.array(token, { maxLength: 40 }), async (tokens) => {
        const { hub, session } = await online({ sm: true });
        const gone = reaches(session, 'waiting');
        hub.last.send(tokens.join(''));
        hub.last.end();
        await gone;
        expect(session.counters).toMatchObject({ connects: 1, listener_errors: 0 });
        await session.stop();
        hub.stop();
      }),
      { numRuns: 100 },
    );
  });
});

describe('what goes out', () => {
  test('settles by the answer of the one who was asked, and of nobody else', async () => {
    const { hub, session } = await online();
    let settled = false;
    const sent = session.sendSignal(BOB, 'con_req', 'x').then(() => {
      settled = true;
    });
    const query = await new Promise<string>((resolve) => {
      const look = () => {
        const id = hub.last.stanzas.find((stanza) => stanza.getChild('query', 'jabber:iq:tincan'))?.attrs.id;
        if (id === undefined) setImmediate(look);
        else resolve(id);
      };
      look();
    });
    for (const from of ["from='mallory@vpn.test/x'", "from='bob@vpn.test'", '']) {
      hub.last.send(`<iq type='result' id='${query}' ${from}/>`);
    }
    hub.last.send("<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>");
    await answerTo(hub, 'end');
    expect(settled).toBe(false);
    expect(session.counters.answers_stray).toBe(3);
    hub.last.send(`<iq type='result' id='${query}' from='${BOB}'/>`);
    await sent;
  });

  test.each([true, false])(
    'is sent again if the session is lost on the way (stream management: %s)',
    async (sm) => {
      const { hub, session } = await online({
        sm,
        onStanza: (peer, stanza) => {
          if (stanza.getChild('query', 'jabber:iq:tincan') === undefined) return false;
          if (hub.peers.length === 1) peer.cut();
          else peer.send(`<iq type='result' id='${stanza.attrs.id}' from='${BOB}'/>`);
          return true;
        },
      });
      const sessions: boolean[] = [];
      session.on('session', ({ resumed }) => sessions.push(resumed));
      await session.sendSignal(BOB, 'con_req', 'x');
      expect(sessions).toEqual([false]);
      expect(session.counters).toMatchObject({
        signals_sent: 2,
        signals_repeated: 1,
        stanzas_lost: sm ? 3 : 0,
      });
    },
  );

  test('a hub that acknowledges what was never sent is not believed', async () => {
    const { hub, session } = await online({ sm: true });
    const gone = reaches(session, 'waiting');
    hub.last.send("<a xmlns='urn:xmpp:sm:3' h='77'/>");
    expect((await gone).detail).toContain('XMPP_ACK');
    await reaches(session, 'online');
    expect(session.counters.sessions).toBe(2);
  });

  test('waits while the hub is away, is bounded, and ends with the session', async () => {
    const { hub, session } = await meet();
    hub.stop();
    session.start();
    const all = Array.from({ length: 2049 }, () => session.sendSignal(BOB, 'con_req', 'x'));
    await expect(all.at(-1)).rejects.toMatchObject({ code: 'XMPP_OUTBOX_FULL' });
    expect(session.counters.signals_dropped).toBe(1);
    await expect(session.discoverIceServers()).rejects.toMatchObject({ code: 'XMPP_OFFLINE' });
    const ends = Promise.allSettled(all);
    await session.stop();
    expect((await ends).every(({ status }) => status === 'rejected')).toBe(true);
    await expect(session.sendSignal(BOB, 'con_req', 'x')).rejects.toMatchObject({ code: 'XMPP_STOPPED' });
  });

  test('must be ASCII and addressed to one node', async () => {
    const { session } = await online();
    for (const [to, type, data] of [
      [BOB, 'con_req', 'é'],
      [BOB, 'con req', 'x'],
      [BOB, '', 'x'],
      [BOB, 'con_req', '\r'],
      [BOB, 'con_req', 'x'.repeat(65_537)],
      [`bob@${DOMAIN}`, 'con_req', 'x'],
      ['', 'con_req', 'x'],
    ] as const) {
      await expect(session.sendSignal(to, type, data)).rejects.toMatchObject({ code: 'XMPP_SIGNAL_FORM' });
    }
  });

  test('an empty list stands for a hub without XEP-0215', async () => {
    const { session } = await online({
      onStanza: (peer, stanza) => {
        if (stanza.getChild('services') === undefined) return false;
        const condition = "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";
        peer.send(
          `<iq type='error' id='${stanza.attrs.id}' from='${DOMAIN}'><error type='cancel'>${condition}</error></iq>`,
        );
        return true;
      },
    });
    expect(await session.discoverIceServers()).toEqual([]);
  });
});

test('a hub without stream management is pinged, and given up if it does not answer', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  try {
    const { hub, session } = await online({ sm: false });
    const pings = () => hub.last.stanzas.filter((stanza) => stanza.getChild('ping', 'urn:xmpp:ping')).length;
    vi.advanceTimersByTime(10_000);
    hub.last.send("<iq type='get' id='one'><ping xmlns='urn:xmpp:ping'/></iq>");
    await answerTo(hub, 'one');
    expect(pings()).toBe(1);
    // What came meanwhile is a sign of life: silence is counted from there.
    vi.advanceTimersByTime(14_900);
    hub.last.send(
      "<iq type='result' id='kith-probe'/><iq type='get' id='two'><ping xmlns='urn:xmpp:ping'/></iq>",
    );
    await answerTo(hub, 'two');
    expect(pings()).toBe(2);
    expect(session.counters).toMatchObject({ connects: 1, answers_stray: 0 });
    const gone = reaches(session, 'waiting');
    vi.advanceTimersByTime(15_100);
    expect((await gone).detail).toContain('XMPP_SILENT');
  } finally {
    vi.useRealTimers();
  }
});

test('a connection in doubt is given up after a second without an answer, and made anew at once', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  try {
    let isDeaf = false;
    const { hub, session } = await online({ sm: false, onStanza: () => isDeaf });
    session.check();
    await vi.waitFor(() => expect(hub.last.stanzas.at(-1)?.attrs.id).toBe('kith-probe'));
    hub.last.send(
      "<iq type='result' id='kith-probe'/><iq type='get' id='one'><ping xmlns='urn:xmpp:ping'/></iq>",
    );
    await answerTo(hub, 'one');
    vi.advanceTimersByTime(1_100);
    expect(session.counters.connects).toBe(1);
    isDeaf = true;
    const gone = reaches(session, 'waiting');
    session.check();
    vi.advanceTimersByTime(1_100);
    expect((await gone).detail).toContain('XMPP_SILENT');
    isDeaf = false;
    const again = reaches(session, 'online');
    vi.advanceTimersByTime(1);
    await again;
    expect(session.counters.connects).toBe(2);
  } finally {
    vi.useRealTimers();
  }
});

test('a change of the network ends the wait for the next try', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  try {
    const { hub, session } = await online();
    const gone = reaches(session, 'waiting');
    hub.last.cut();
    await gone;
    // Before the next try by itself, which comes a quarter of a second after the loss at the soonest. The change may make it come sooner than the
    // policy says, half a second after the last one, or find that it was made already: there is one try either way.
    vi.advanceTimersByTime(200);
    session.networkChanged();
    const again = reaches(session, 'online');
    vi.advanceTimersByTime(1_000);
    await again;
    expect(session.counters.connects).toBe(2);
  } finally {
    vi.useRealTimers();
  }
});

test('after a change of the network a hub that was long away is tried as often as one that was just lost', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  try {
    const { hub, session } = await online();
    const failed = async (move: () => void): Promise<number> => {
      const waiting = reaches(session, 'waiting');
      move();
      return (await waiting).retryInMs ?? Number.NaN;
    };
    let wait = await failed(() => hub.stop());
    while (wait < 5_000) wait = await failed(() => vi.advanceTimersByTime(wait + 1));
    wait = await failed(() => {
      session.networkChanged();
      vi.advanceTimersByTime(500);
    });
    expect(wait).toBeLessThanOrEqual(500);
  } finally {
    vi.useRealTimers();
  }
});

test('can be stopped at any moment, also from a listener, and started again', async () => {
  const { session } = await meet();
  for (const name of ['connecting', 'online'] as const) {
    const stopping = next(session, 'state', ({ state }) => state === name).then(() => session.stop());
    session.start();
    await stopping;
    expect(session.state).toMatchObject({ state: 'stopped', detail: null, retryInMs: null });
  }
  const off = new Promise<void>((resolve) => session.on('roster', () => resolve(session.stop())));
  session.start();
  await off;
  expect(session.state.state).toBe('stopped');
  expect(session.state.since).toBeLessThanOrEqual(monotonicMs());
});

test('says what is wrong with its options', () => {
  const make =
    (jid: string, server: string, resource = 'r') =>
    () =>
      new XmppSession({ jid, password: 'x', server, resource, log });
  expect(make('alice', 'xmpps://h')).toThrow('name@domain');
  expect(make('alice@vpn.test/x', 'xmpps://h')).toThrow('name@domain');
  expect(make(ME, 'ws://h')).toThrow('xmpps://, xmpp:// or wss://');
  expect(make(ME, 'xmpps://h', '')).toThrow('resource');
});
