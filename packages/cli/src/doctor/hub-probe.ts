import { randomBytes } from 'node:crypto';
import { createLogger, Timers } from '@kith/base';
import type { KithConfig } from '@kith/config';
import { type HubState, type IceServer, XmppSession } from '@kith/controller/xmpp';

/** TLS, SCRAM and roster take half a second on a slow line; a person waits this long and not longer. */
const SIGN_IN_MS = 10_000;

export interface HubAnswer {
  state: HubState;
  signInMs: number | null;
  /** What the hub names; empty while not signed in. */
  servers: IceServer[];
}

/** Signs in once, under a name that no node has, so that a running network is not disturbed. */
export async function askHub({ jid, password, server, ca }: KithConfig['xmpp']): Promise<HubAnswer> {
  const resource = `kith-doctor-${randomBytes(4).toString('hex')}`;
  const log = createLogger('doctor', 'silent');
  const session = new XmppSession({ jid, password, server, ca, resource, log });
  const timers = new Timers();
  const startedAt = performance.now();
  try {
    const state = await new Promise<HubState>((resolve) => {
      session.on('state', (news) => {
        if (news.state !== 'connecting') resolve(news);
      });
      timers.after('give up', SIGN_IN_MS, () => resolve(session.state));
      session.start();
    });
    if (state.state !== 'online') return { state, signInMs: null, servers: [] };
    const signInMs = performance.now() - startedAt;
    return { state, signInMs, servers: await session.discoverIceServers().catch(() => []) };
  } finally {
    timers.clearAll();
    await session.stop();
  }
}
