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
import { MAX_PINS } from './known-nodes.ts';
import type { Membership } from './membership.ts';
import { TokenBucket } from './token-bucket.ts';
import type { Trust } from './trust.ts';
import type { RefuseCondition } from './xmpp/index.ts';

export type Verdict =
  | { refused: RefuseCondition; detail: string | undefined }
  | { refused?: undefined; type: SignalType; signal: Signal };

/**
 * Presences and signals per second and at once of a node that is pinned or may try to be: an attempt takes a handful of signals, and one
 * of 15 s follows the other.
 */
const KNOWN_RATE = [20, 200] as const;

/**
 * The same for all nodes together that are not pinned: a flood of invented ones must not cost the others their turn, and decoding 20 kB
 * a hundred times a second is a percent of a core. The burst is a large network that is met for the first time.
 */
const UNKNOWN_RATE = [100, 2_048] as const;

/** Lines in the log about refusals: enough to see what goes on, too few to fill a disk. */
const LOG_RATE = [1, 20] as const;

/** Decides whose signals are read at all. A stranger learns nothing: the answer is what an account without Kith would give. */
export class Admission {
  readonly #membership: Membership;
  readonly #trust: Trust;
  readonly #unknown = new TokenBucket(...UNKNOWN_RATE);
  readonly #known = new Map<Uid, TokenBucket>();
  readonly #log = new TokenBucket(...LOG_RATE);
  readonly counters = {
    refused_strangers: 0,
    refused_malformed: 0,
    refused_uid_of_other: 0,
    refused_untrusted: 0,
    refused_flood: 0,
  };

  constructor(membership: Membership, trust: Trust) {
    this.#membership = membership;
    this.#trust = trust;
  }

  /** Whether the presence of a full JID is that of a member's node which may be linked. `now`: ms, monotonic. */
  admits(fullJid: string, uid: Uid, now: number): boolean {
    if (!this.#membership.isMember(fullJid)) return false;
    if (!this.#withinRate(fullJid, uid, now)) return false;
    return this.#refusal(bareJid(fullJid), uid, now) === undefined;
  }

  /** Judges a signal before and by its content. `now`: ms, monotonic. */
  judge(from: string, type: string, data: string, now: number): Verdict {
    if (!this.#membership.isMember(from)) {
      this.counters.refused_strangers++;
      return { refused: 'service-unavailable', detail: undefined };
    }
    const uid = uidOfFullJid(from);
    if (!this.#withinRate(from, uid, now)) return { refused: 'resource-constraint', detail: undefined };
    const signalType = SIGNAL_TYPES.find((known) => known === type);
    if (uid === undefined || signalType === undefined) {
      return this.#malformed(
        `signal ${JSON.stringify(type)} is none of ${SIGNAL_TYPES.join(', ')}, or not from a node`,
        now,
      );
    }
    let signal: Signal;
    try {
      signal = decodeSignal(data);
    } catch (error) {
      return this.#malformed(describeError(error), now);
    }
    if (signal.uid !== uid) return this.#malformed('signal: uid is not that of the sender', now);
    const jid = bareJid(from);
    const refusal = this.#refusal(jid, uid, now);
    if (refusal === undefined) {
      this.#trust.heard(uid, signal.fpr);
      return { type: signalType, signal };
    }
    const waiting = this.#trust.waiting.get(jid, uid);
    if (waiting !== undefined) waiting.fpr = signal.fpr;
    return refusal;
  }

  #refusal(jid: string, uid: Uid, now: number): Extract<Verdict, { detail: unknown }> | undefined {
    const decision = this.#trust.judge(jid, uid, now);
    switch (decision.is) {
      case 'trusted':
        return undefined;
      case 'waiting':
        this.counters.refused_untrusted++;
        return {
          refused: 'not-allowed',
          detail: decision.news ? this.#say(decision.reason, now) : undefined,
        };
      case 'foreign':
        this.counters.refused_uid_of_other++;
        return { refused: 'forbidden', detail: this.#say(`UID ${uid} belongs to ${decision.owner}`, now) };
    }
  }

  #withinRate(from: string, uid: Uid | undefined, now: number): boolean {
    const jid = bareJid(from);
    // Only its own member's: another one could use up the tokens of a UID that it borrows.
    const pinned = uid !== undefined && this.#trust.known.jidOf(uid) === jid;
    const linked = uid !== undefined && this.#trust.allows(jid, uid);
    const own = !(pinned || linked) || this.#bucketOf(uid).take(now);
    if (own && (pinned || this.#unknown.take(now))) return true;
    this.counters.refused_flood++;
    return false;
  }

  #bucketOf(uid: Uid): TokenBucket {
    const existing = this.#known.get(uid);
    if (existing !== undefined) return existing;
    // Nodes whose pins were forgotten leave theirs behind; a full bucket for everybody does no harm.
    if (this.#known.size >= MAX_PINS) this.#known.clear();
    const bucket = new TokenBucket(...KNOWN_RATE);
    this.#known.set(uid, bucket);
    return bucket;
  }

  #malformed(detail: string, now: number): Verdict {
    this.counters.refused_malformed++;
    return { refused: 'bad-request', detail: this.#say(detail, now) };
  }

  #say(detail: string, now: number): string | undefined {
    return this.#log.take(now) ? detail : undefined;
  }
}
