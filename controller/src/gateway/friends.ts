import { isUid, type Uid } from '@kith/protocol';

/** Resource of a JID in IPOP's networks: this and the node's UID. */
export const FRIEND_RESOURCE = 'tincan';

/** As many as a network has members; the roster bounds who may be one, each of them with as many nodes as he likes. */
const MAX_FRIENDS = 4_096;
/** Somebody who left may be asked for a while; IPOP's tincan never forgot, and told of nodes that were long gone. */
const FORGOTTEN_AFTER_MS = 600_000;

interface Friend {
  readonly jid: string;
  present: boolean;
  /** When it was last known to be present, ms. */
  seenAt: number;
  /** The last create_link for it wants its con_resp to go by XMPP. */
  byXmpp: boolean;
}

/** The UID that a full JID's resource names in IPOP's way; undefined where it is none of IPOP's. */
export function uidOfFriend(fullJid: string): Uid | undefined {
  const resource = fullJid.slice(fullJid.indexOf('/') + 1);
  if (!fullJid.includes('/') || !resource.startsWith(FRIEND_RESOURCE)) return undefined;
  const uid = resource.slice(FRIEND_RESOURCE.length);
  return isUid(uid) ? uid : undefined;
}

/** The nodes of friends that XMPP told of, by the UIDs that they go by there. Pure; times in ms. */
export class Friends {
  readonly #byUid = new Map<Uid, Friend>();
  /** Since when the hub is away; what was known of presences then is all that is known. */
  #hubLostAt: number | undefined;
  readonly counters = { friends_ignored: 0, friend_uids_contested: 0 };

  /**
   * A node spoke or said that it is present. False when it is not taken: there are too many, or the UID is that of another JID that is
   * present: the first one stands, so that nobody takes the name of a node that is there.
   */
  heard(uid: Uid, jid: string, now: number): boolean {
    this.#expire(now);
    const known = this.#byUid.get(uid);
    if (known !== undefined && known.jid !== jid && known.present) {
      this.counters.friend_uids_contested++;
      return false;
    }
    if (known === undefined && this.#byUid.size >= MAX_FRIENDS) {
      this.counters.friends_ignored++;
      return false;
    }
    this.#byUid.set(uid, { jid, present: true, seenAt: now, byXmpp: known?.byXmpp ?? false });
    return true;
  }

  /** A node is not present any more. False when nothing changed. */
  left(uid: Uid, jid: string, now: number): boolean {
    const known = this.#byUid.get(uid);
    if (known === undefined || known.jid !== jid || !known.present) return false;
    known.present = false;
    known.seenAt = now;
    return true;
  }

  hubLost(now: number): void {
    this.#hubLostAt ??= now;
  }

  /** The hub is back. Where the session is a new one, presences will be told anew. */
  hubBack(isNewSession: boolean, now: number): void {
    if (isNewSession) {
      for (const friend of this.#byUid.values()) {
        if (!friend.present) continue;
        friend.present = false;
        friend.seenAt = this.#hubLostAt ?? now;
      }
    }
    this.#hubLostAt = undefined;
  }

  /** Forgets the nodes of those who are no friends any more. */
  keep(isFriend: (jid: string) => boolean): void {
    for (const [uid, { jid }] of this.#byUid) if (!isFriend(jid)) this.#byUid.delete(uid);
  }

  clear(): void {
    this.#byUid.clear();
    this.#hubLostAt = undefined;
  }

  /** Full JID of a node that is present. */
  jidOf(uid: Uid): string | undefined {
    const friend = this.#byUid.get(uid);
    return friend?.present === true ? friend.jid : undefined;
  }

  /** Where con_resp for this node goes from now on. */
  sendByXmpp(uid: Uid, byXmpp: boolean): void {
    const friend = this.#byUid.get(uid);
    if (friend !== undefined) friend.byXmpp = byXmpp;
  }

  goesByXmpp(uid: Uid): boolean {
    return this.#byUid.get(uid)?.byXmpp === true;
  }

  /** UIDs of all nodes that are known, present or not. */
  uids(now: number): Uid[] {
    this.#expire(now);
    return [...this.#byUid.keys()];
  }

  /** IPOP's xmpp_time: whole seconds since the node was last known to be present; undefined for who is no friend. */
  absentFor(uid: Uid, now: number): number | undefined {
    const friend = this.#byUid.get(uid);
    if (friend === undefined) return undefined;
    const since = friend.present ? (this.#hubLostAt ?? now) : friend.seenAt;
    return Math.max(0, Math.floor((now - since) / 1000));
  }

  #expire(now: number): void {
    for (const [uid, { present, seenAt }] of this.#byUid) {
      if (!present && now - seenAt > FORGOTTEN_AFTER_MS) this.#byUid.delete(uid);
    }
  }
}
