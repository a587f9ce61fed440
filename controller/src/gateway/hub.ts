import { describeError, type Logger, SystemError } from '@kith/base';
import { Membership } from '../membership.ts';
import { type HubState, type RefuseCondition, type RosterItem, XmppSession } from '../xmpp/index.ts';
import type { Account } from './registration.ts';

/** What the hub tells, of friends alone: contacts with a mutual subscription, and other nodes of this account. */
export interface HubEvents {
  state(state: HubState): void;
  session(isNew: boolean): void;
  friendsChanged(isFriend: (jid: string) => boolean): void;
  presence(from: string, available: boolean): void;
  /** Gives the condition with which it is refused, null when it was taken. */
  signal(from: string, type: string, data: string): RefuseCondition | null;
}

/** The session at the XMPP server that a register_svc asked for; one at a time. */
export class Hub {
  readonly #ca: string | undefined;
  readonly #log: Logger;
  readonly #events: HubEvents;
  #session: XmppSession | undefined;
  /** Sessions end before the next one begins: the server would take two of one resource for a conflict. */
  #turn: Promise<void> = Promise.resolve();
  readonly #counters = { gateway_strangers: 0 };

  /** @param ca PEM of the authorities that may vouch for the server; undefined: those that Node.js knows */
  constructor(ca: string | undefined, log: Logger, events: HubEvents) {
    this.#ca = ca;
    this.#log = log;
    this.#events = events;
  }

  get counters(): Record<string, number> {
    return { ...this.#counters, ...this.#session?.counters };
  }

  /** @throws ConfigError XMPP_JID or XMPP_SERVER. */
  signIn({ jid, password, server, resource }: Account): void {
    const session = new XmppSession({ jid, password, server, resource, ca: this.#ca, log: this.#log });
    const before = this.#session;
    this.#session = session;
    this.#listen(session, new Membership(jid.toLowerCase(), undefined));
    this.#turn = this.#turn
      .then(() => before?.stop())
      .catch((error: unknown) => this.#log.error({ err: error }, `signing out: ${describeError(error)}`))
      .then(() => {
        if (this.#session === session) session.start();
      });
  }

  /** @throws as XmppSession.sendSignal; SystemError XMPP_STOPPED too when there is no session. */
  async sendSignal(jid: string, type: string, data: string): Promise<void> {
    if (this.#session === undefined) throw new SystemError('XMPP_STOPPED', 'there is no XMPP session');
    await this.#session.sendSignal(jid, type, data);
  }

  /** Signs out. */
  async stop(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await this.#turn;
    await session?.stop();
  }

  #listen(session: XmppSession, friends: Membership): void {
    const isCurrent = (): boolean => this.#session === session;
    const isFriend = (jid: string): boolean => friends.isMember(jid);
    const changed = (): void => {
      if (isCurrent()) this.#events.friendsChanged(isFriend);
    };
    session.on('state', (state) => {
      if (isCurrent()) this.#events.state(state);
    });
    session.on('session', ({ resumed }) => {
      if (isCurrent()) this.#events.session(!resumed);
    });
    session.on('roster', (items) => {
      friends.reset(items);
      changed();
    });
    session.on('roster-push', (item) => this.#push(session, friends, item, changed));
    session.on('blocked', (change) => {
      const unblocked = friends.block(change);
      changed();
      // The server tells their presence to those alone who ask.
      for (const jid of unblocked) session.probe(jid);
    });
    session.on('presence', ({ from, available }) => {
      if (isCurrent() && isFriend(from)) this.#events.presence(from, available);
    });
    session.on('signal', (signal) => {
      const { from, type, data } = signal;
      const isKnown = isCurrent() && isFriend(from);
      if (!isKnown) this.#counters.gateway_strangers++;
      const refusal = isKnown ? this.#events.signal(from, type, data) : 'service-unavailable';
      if (refusal === null) signal.respond();
      else signal.refuse(refusal);
    });
  }

  #push(session: XmppSession, friends: Membership, item: RosterItem, changed: () => void): void {
    const wasFriend = friends.isMember(item.jid);
    friends.update(item);
    changed();
    // A presence that came before the push found no friend.
    if (!wasFriend && friends.isMember(item.jid)) session.probe(item.jid);
  }
}
