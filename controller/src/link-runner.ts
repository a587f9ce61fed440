import { describeError, KithError, type Logger, monotonicMs } from '@kith/base';
import {
  accountDigest,
  encodeSignal,
  type LocalState,
  type NetworkView,
  type SecurityTerms,
  type Uid,
} from '@kith/protocol';
import type { Addressing } from './addressing/index.ts';
import type { IceServers } from './ice-servers.ts';
import type { LinkStories } from './link-stories.ts';
import type { LinkTurns } from './link-turns.ts';
import type { PeerAction } from './peer-state.ts';
import type { Peer } from './peer-table.ts';
import type { TincanClient } from './tincan-client.ts';
import { whyNotDelivered } from './trust-status.ts';
import { SignalRefused, type XmppSession } from './xmpp/index.ts';

export interface RunnerParts {
  readonly log: Logger;
  readonly tincan: Pick<TincanClient, 'call'>;
  readonly iceServers: Pick<IceServers, 'current'>;
  readonly stories: Pick<LinkStories, 'add'>;
  readonly turns: LinkTurns;
  /** This account's bare JID. */
  readonly jid: string;
  readonly mine: SecurityTerms;
  readonly session: () => XmppSession | undefined;
  readonly local: () => LocalState | undefined;
  readonly addressing: () => Addressing | undefined;
  /** What came of an answer, to be performed if the peer is still there. */
  readonly later: (uid: Uid, actions: readonly PeerAction[]) => void;
}

/** Does what the machines of the peers want done: calls of tincan, and signals to the peers. */
export class LinkRunner {
  readonly #parts: RunnerParts;
  readonly counters = { links_requested: 0 };
  /** Attempts whose link tincan has been asked to begin and has not answered for yet. */
  readonly #asked = new Set<string>();
  /** How UDP leaves this machine, as tincan said last; told to the peers. */
  network: NetworkView | undefined;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  perform(peer: Peer, actions: readonly PeerAction[]): void {
    for (const action of actions) {
      switch (action.do) {
        case 'create-link':
          this.#createLink(peer, action);
          break;
        case 'trim-link':
          this.trim(action.uid, action.reason, action.attempt);
          break;
        case 'send':
          this.#send(peer, action);
          break;
      }
    }
  }

  /** @param attempt ends the link of this attempt only */
  trim(uid: Uid, reason: string, attempt?: number): void {
    const { tincan, log } = this.#parts;
    const parameters = { uid, reason, ...(attempt === undefined ? {} : { attempt }) };
    tincan.call('trim_link', parameters).catch((error: unknown) => log.warn(describeError(error)));
  }

  #createLink(
    { machine, member }: Peer,
    { uid, attempt, remote }: Extract<PeerAction, { do: 'create-link' }>,
  ): void {
    const { tincan, iceServers, jid, mine, log, addressing, later, turns } = this.#parts;
    // The call itself asks again when tincan is silent. One that comes with the peer's answer says something new.
    const asked = `${uid} ${attempt}`;
    if (remote === undefined && this.#asked.has(asked)) return;
    this.#asked.add(asked);
    this.counters.links_requested++;
    const translation = addressing()?.translation(uid);
    const parameters = {
      uid,
      attempt,
      ice_servers: iceServers.current(),
      accounts: { mine: accountDigest(jid), theirs: accountDigest(member) },
      ...(translation === undefined ? {} : { translation }),
      ...(remote === undefined
        ? {}
        : {
            fpr: remote.fpr,
            cas: remote.cas,
            sec: remote.encrypted,
            security: { mine, theirs: remote.terms },
          }),
    };
    const askedAt = monotonicMs();
    const answered = (): void => {
      this.#asked.delete(asked);
      turns.answered(askedAt, monotonicMs());
      // There may be room for another now.
      later(uid, []);
    };
    const failed = (error: unknown): void => {
      this.#asked.delete(asked);
      const now = monotonicMs();
      const code = error instanceof KithError ? error.code : undefined;
      if (code === 'TINCAN_SILENT') turns.unanswered(askedAt, now);
      else turns.answered(askedAt, now);
      log.warn({ peer: uid, attempt }, describeError(error));
      const isTaken = code === 'ATTEMPT_TAKEN';
      later(uid, isTaken ? machine.taken(attempt, now) : machine.offline(attempt, describeError(error), now));
    };
    tincan.call('create_link', parameters).then(answered, failed);
  }

  #send({ jid, machine }: Peer, { type, attempt, cas, uid }: Extract<PeerAction, { do: 'send' }>): void {
    const { log, mine, later, jid: own } = this.#parts;
    const local = this.#parts.local();
    const session = this.#parts.session();
    if (jid === undefined || local === undefined || session === undefined) return;
    const node = this.#parts.addressing()?.announcement;
    const refused = this.#parts.addressing()?.refusalFor(uid);
    const data = encodeSignal({
      ...{ v: 1, uid: local._uid, fpr: local._fpr, attempt, cas, security: mine },
      ...(node === undefined ? {} : { node }),
      ...(refused === undefined ? {} : { refused }),
      ...(this.network === undefined ? {} : { network: this.network }),
    });
    this.#parts.stories.add(uid, `${type} of attempt ${attempt} sent`);
    session.sendSignal(jid, type, data).catch((error: unknown) => {
      const reason = whyNotDelivered(error, own, local._uid);
      log.info({ peer: uid, type, attempt }, `not delivered: ${reason}`);
      this.#parts.stories.add(uid, `${type} of attempt ${attempt} not delivered: ${reason}`);
      const unwanted = error instanceof SignalRefused && error.condition === 'not-acceptable';
      later(
        uid,
        unwanted
          ? machine.refusedByPeer(attempt, 'the peer refuses the link: no common security group')
          : machine.undelivered(attempt, reason, monotonicMs()),
      );
    });
  }
}
