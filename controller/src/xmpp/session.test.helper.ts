import { createLogger } from '@kith/base';
import { expect } from 'vitest';
import { type Behaviour, DOMAIN, FakeHub, makeCertificate, PASSWORD } from './fake-hub.test.helper.ts';
import { XmppSession } from './session.ts';
import type { HubStateName, XmppEvents, XmppOptions } from './types.ts';

const PEM = makeCertificate();
export const ME = `alice@${DOMAIN}`;
export const BOB = `bob@${DOMAIN}/kith-b`;
export const log = createLogger('xmpp', 'silent');

const cleanups: (() => Promise<void> | void)[] = [];
/** Ends what the test began. */
export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

export async function meet(
  behaviour: Behaviour = {},
  more: (port: string) => Partial<XmppOptions> = () => ({}),
): Promise<{ hub: FakeHub; session: XmppSession }> {
  const hub = await FakeHub.start(PEM, behaviour);
  const scheme = (behaviour.tls ?? 'direct') === 'direct' ? 'xmpps' : 'xmpp';
  const server = `${scheme}://${hub.address}`;
  const session = new XmppSession({
    jid: ME,
    password: PASSWORD,
    server,
    ca: PEM.ca,
    resource: 'kith-a',
    log,
    ...more(hub.address.split(':')[1] ?? ''),
  });
  cleanups.push(() => hub.stop());
  cleanups.push(() => session.stop());
  return { hub, session };
}

/** Resolves with the first value of `event` that fits. */
export function next<K extends keyof XmppEvents>(
  session: XmppSession,
  event: K,
  fits: (value: XmppEvents[K]) => boolean = () => true,
): Promise<XmppEvents[K]> {
  return new Promise((resolve) => {
    const listener = (value: XmppEvents[K]) => {
      if (!fits(value)) return;
      session.off(event, listener);
      resolve(value);
    };
    session.on(event, listener);
  });
}

export const reaches = (session: XmppSession, name: HubStateName) =>
  next(session, 'state', ({ state }) => state === name);

export async function online(behaviour: Behaviour = {}): Promise<{ hub: FakeHub; session: XmppSession }> {
  const met = await meet(behaviour);
  const there = reaches(met.session, 'online');
  met.session.start();
  await there;
  return met;
}

export async function isRefused(behaviour: Behaviour, code: string): Promise<FakeHub> {
  const { hub, session } = await meet(behaviour);
  const there = reaches(session, 'refused');
  session.start();
  const { detail, retryInMs } = await there;
  expect(detail).toContain(code);
  expect(retryInMs).toBeGreaterThan(55_000);
  expect(hub.peers).toHaveLength(1);
  return hub;
}

/** The answer of the session to an IQ with this id. */
export async function answerTo(hub: FakeHub, id: string) {
  const found = () => hub.last.stanzas.find((stanza) => stanza.attrs.id === id && stanza.is('iq'));
  for (;;) {
    const answer = found();
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
