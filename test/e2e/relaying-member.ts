import { readFile } from 'node:fs/promises';
import { createLogger } from '@kith/base';
import { XmppSession } from '@kith/controller/xmpp';
import { RESOURCE_PREFIX, type Uid } from '@kith/protocol';
import type { Ejabberd } from '../lab/index.ts';

/** A node whose signals are handed on. */
interface Victim {
  readonly jid: string;
  readonly uid: Uid;
}

/**
 * A member who signs in twice, once under the UID of each of two nodes, and hands on to the one what the other signals: each of the two
 * gets the other's true descriptions, from this member's account.
 */
export class RelayingMember {
  readonly #sessions: XmppSession[] = [];
  /** Signals handed on. */
  relayed = 0;

  /**
   * @param server address and port by which the hub is reached from here
   * @param user account of the member
   */
  static async open(
    hub: Ejabberd,
    server: string,
    user: string,
    password: string,
    victims: readonly [Victim, Victim],
  ): Promise<RelayingMember> {
    const member = new RelayingMember();
    const ca = await readFile(hub.caFile, 'utf8');
    const log = createLogger(user, 'silent');
    const sessionOf = ({ uid }: Victim) =>
      new XmppSession({
        ...{ jid: hub.jid(user), password, server: `xmpps://${server}`, ca, log },
        resource: `${RESOURCE_PREFIX}${uid}`,
      });
    const [one, two] = victims;
    const [asOne, asTwo] = [sessionOf(one), sessionOf(two)];
    member.#sessions.push(asOne, asTwo);
    member.#handOn(asOne, asTwo, one);
    member.#handOn(asTwo, asOne, two);
    await Promise.all(
      member.#sessions.map(
        (session) =>
          new Promise<void>((resolve) => {
            session.on('state', ({ state }) => {
              if (state === 'online') resolve();
            });
            session.start();
          }),
      ),
    );
    return member;
  }

  /** What comes in for one victim's name goes out under the other's, to the victim of that name. */
  #handOn(inbound: XmppSession, outbound: XmppSession, to: Victim): void {
    inbound.on('signal', ({ type, data, respond, refuse }) => {
      this.relayed++;
      // Whatever the other end answers is no matter: a lost signal would be sent again.
      outbound.sendSignal(`${to.jid}/${RESOURCE_PREFIX}${to.uid}`, type, data).then(respond, () => refuse());
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.stop()));
  }
}
