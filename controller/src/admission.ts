import { describeError } from '@kith/base';
import {
  bareJid,
  decodeSignal,
  SIGNAL_TYPES,
  type Signal,
  type SignalType,
  type Uid,
  uidOfFullJid,
} from '@kith/protocol';
import type { KnownNodes } from './known-nodes.ts';
import type { Membership } from './membership.ts';
import type { RefuseCondition } from './xmpp/index.ts';

export type Verdict =
  | { refused: RefuseCondition; detail: string | undefined }
  | { refused?: undefined; type: SignalType; signal: Signal };

/** Decides whose signals are read at all. A stranger learns nothing: the answer is what an account without Kith would give. */
export class Admission {
  readonly #membership: Membership;
  readonly #known: KnownNodes;
  readonly counters = { refused_strangers: 0, refused_malformed: 0, refused_uid_of_other: 0 };

  constructor(membership: Membership, known: KnownNodes) {
    this.#membership = membership;
    this.#known = known;
  }

  /** Whether the full JID is a member's node, and the UID that it names is its own. */
  admits(fullJid: string, uid: Uid): boolean {
    if (!this.#membership.isMember(fullJid)) return false;
    if (this.#known.claim(uid, bareJid(fullJid))) return true;
    this.counters.refused_uid_of_other++;
    return false;
  }

  judge(from: string, type: string, data: string): Verdict {
    if (!this.#membership.isMember(from)) {
      this.counters.refused_strangers++;
      return { refused: 'service-unavailable', detail: undefined };
    }
    const uid = uidOfFullJid(from);
    const signalType = SIGNAL_TYPES.find((known) => known === type);
    if (uid === undefined || signalType === undefined) {
      return this.#malformed(
        `signal ${JSON.stringify(type)} is none of ${SIGNAL_TYPES.join(', ')}, or not from a node`,
      );
    }
    let signal: Signal;
    try {
      signal = decodeSignal(data);
    } catch (error) {
      return this.#malformed(describeError(error));
    }
    if (signal.uid !== uid) return this.#malformed('signal: uid is not that of the sender');
    if (!this.admits(from, uid)) {
      return {
        refused: 'forbidden',
        detail: `UID ${uid} belongs to ${this.#known.jidOf(uid) ?? 'another member'}`,
      };
    }
    return { type: signalType, signal };
  }

  #malformed(detail: string): Verdict {
    this.counters.refused_malformed++;
    return { refused: 'bad-request', detail };
  }
}
