import { createLogger } from '@kith/base';
import { afterEach, expect, test } from 'vitest';
import { type Behaviour, DOMAIN, FakeHub, makeCertificate, PASSWORD } from '../xmpp/fake-hub.test.helper.ts';
import type { HubState } from '../xmpp/index.ts';
import { Hub } from './hub.ts';
import type { Account } from './registration.ts';

const PEM = makeCertificate();
const UID = 'ab'.repeat(20);
const BOB = `bob@${DOMAIN}/tincan${'22'.repeat(20)}`;
const EVE = `eve@${DOMAIN}/tincan${'33'.repeat(20)}`;
const ROSTER = `<item jid='bob@${DOMAIN}' subscription='both'/><item jid='eve@${DOMAIN}' subscription='from'/>`;

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

class Met {
  readonly fake: FakeHub;
  readonly hub: Hub;
  readonly states: HubState[] = [];
  readonly heard: string[] = [];
  isFriend: (jid: string) => boolean = () => false;
  #wake: (() => void)[] = [];

  private constructor(fake: FakeHub) {
    this.fake = fake;
    const wake = (): void => {
      for (const one of this.#wake.splice(0)) one();
    };
    this.hub = new Hub(PEM.ca, createLogger('hub', 'silent'), {
      state: (state) => {
        this.states.push(state);
        wake();
      },
      session: (isNew) => {
        this.heard.push(isNew ? 'new session' : 'resumed');
      },
      friendsChanged: (isFriend) => {
        this.isFriend = isFriend;
        this.heard.push('friends');
        wake();
      },
      presence: (from, available) => {
        this.heard.push(`${available ? 'here' : 'gone'} ${from}`);
        wake();
      },
      signal: (from, type, data) => {
        this.heard.push(`${type} ${from} ${data}`);
        wake();
        return data === 'bad' ? 'not-acceptable' : null;
      },
    });
  }

  static async begin(behaviour: Behaviour = {}): Promise<Met> {
    const fake = await FakeHub.start(PEM, { tls: 'starttls', roster: ROSTER, ...behaviour });
    const met = new Met(fake);
    cleanups.push(
      () => fake.stop(),
      () => met.hub.stop(),
    );
    return met;
  }

  account(more: Partial<Account> = {}): Account {
    const server = `xmpp://${this.fake.address}`;
    return {
      jid: `alice@${DOMAIN}`,
      password: PASSWORD,
      server,
      resource: `tincan${UID}`,
      uid: UID,
      ...more,
    };
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  async online(): Promise<void> {
    this.hub.signIn(this.account());
    await this.until(() => this.states.at(-1)?.state === 'online');
  }
}

function signal(from: string, id: string, data: string): string {
  return `<iq type='set' from='${from}' id='${id}'><query xmlns='jabber:iq:tincan'><data>${data}</data><type>con_req</type></query></iq>`;
}

test('presence and messages of friends are told, those of others are not, and each message is answered', async () => {
  const met = await Met.begin();
  await met.online();
  expect(met.isFriend(BOB)).toBe(true);
  expect(met.isFriend(`alice@${DOMAIN}/tincan`)).toBe(true);
  expect(met.isFriend(EVE)).toBe(false);
  const peer = met.fake.last;
  for (const from of [EVE, BOB]) peer.send(`<presence from='${from}'/>`);
  peer.send(signal(EVE, 'i1', 'evil'));
  peer.send(signal(BOB, 'i2', 'bad'));
  peer.send(signal(BOB, 'i3', 'good'));
  peer.send(`<presence from='${BOB}' type='unavailable'/>`);
  await met.until(() => met.heard.at(-1) === `gone ${BOB}`);
  expect(met.heard).toEqual([
    ...['new session', 'friends'],
    ...[`here ${BOB}`, `con_req ${BOB} bad`, `con_req ${BOB} good`, `gone ${BOB}`],
  ]);
  expect(met.hub.counters.gateway_strangers).toBe(1);
  // The hub hears the answers after what it sent has been read.
  const answers = (): unknown[] =>
    peer.stanzas
      .filter(({ attrs }) => /^i\d$/.test(attrs.id ?? ''))
      .map(({ attrs }) => [attrs.id, attrs.type]);
  while (answers().length < 3) await new Promise(setImmediate);
  expect(answers()).toEqual([
    ['i1', 'error'],
    ['i2', 'error'],
    ['i3', 'result'],
  ]);
});

test('who is put on the roster is a friend from then on, and who is taken off is none', async () => {
  const met = await Met.begin();
  await met.online();
  const push = (subscription: string): void =>
    met.fake.last.send(
      `<iq type='set' id='p'><query xmlns='jabber:iq:roster'><item jid='eve@${DOMAIN}' subscription='${subscription}'/></query></iq>`,
    );
  push('both');
  await met.until(() => met.isFriend(EVE));
  push('remove');
  await met.until(() => !met.isFriend(EVE));
});

test('a second account takes the place of the first, of which no more is heard', async () => {
  const met = await Met.begin();
  await met.online();
  const first = met.fake.last;
  const count = met.fake.peers.length;
  met.hub.signIn(met.account());
  await met.until(() => met.fake.peers.length > count && met.states.at(-1)?.state === 'online');
  expect(met.fake.last).not.toBe(first);
  expect(met.states.map(({ state }) => state)).toEqual(['connecting', 'online', 'connecting', 'online']);
});

test('an account that makes no sense is refused, and the session that is there stays', async () => {
  const met = await Met.begin();
  await met.online();
  expect(() => met.hub.signIn(met.account({ jid: 'alice' }))).toThrow(
    expect.objectContaining({ code: 'XMPP_JID' }),
  );
  met.fake.last.send(`<presence from='${BOB}'/>`);
  await met.until(() => met.heard.at(-1) === `here ${BOB}`);
});

test('without a session nothing can be sent', async () => {
  const met = await Met.begin();
  await expect(met.hub.sendSignal(BOB, 'con_req', 'x')).rejects.toMatchObject({ code: 'XMPP_STOPPED' });
});
