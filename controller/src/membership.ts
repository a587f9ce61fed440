import { bareJid } from '@kith/protocol';

/** One roster entry as RFC 6121 §2.1.2 describes it. */
export interface RosterEntry {
  jid: string;
  groups: readonly string[];
  subscription: 'none' | 'to' | 'from' | 'both' | 'remove';
}

/** Roster entries that we remember; ejabberd's own default limit for a roster is far lower. */
const MAX_ROSTER = 10_000;

/**
 * Who belongs to the network, by the roster as the hub tells it. Pure. A member is a contact with subscription `both` in the
 * network's roster group (every such contact, where the config names no group), and this account itself, which may own several nodes.
 */
export class Membership {
  readonly #self: string;
  readonly #group: string | undefined;
  #members = new Set<string>();
  /** Entries beyond MAX_ROSTER. */
  ignored = 0;

  /**
   * @param self this account's JID
   * @param group roster group whose contacts are members; undefined: every contact is
   */
  constructor(self: string, group: string | undefined) {
    this.#self = bareJid(self);
    this.#group = group;
  }

  /** The whole roster, after a fresh login. */
  reset(entries: readonly RosterEntry[]): void {
    this.#members = new Set();
    for (const entry of entries) this.update(entry);
  }

  /** One entry changed (roster push). */
  update(entry: RosterEntry): void {
    const jid = bareJid(entry.jid);
    if (!this.#admits(entry)) {
      this.#members.delete(jid);
    } else if (this.#members.size >= MAX_ROSTER && !this.#members.has(jid)) {
      this.ignored++;
    } else {
      this.#members.add(jid);
    }
  }

  isMember(jid: string): boolean {
    const bare = bareJid(jid);
    return bare === this.#self || this.#members.has(bare);
  }

  /** Members, this account left out. */
  get count(): number {
    return this.#members.size;
  }

  /** Bare JIDs of all members but this account. */
  others(): Iterable<string> {
    return this.#members;
  }

  #admits(entry: RosterEntry): boolean {
    return entry.subscription === 'both' && (this.#group === undefined || entry.groups.includes(this.#group));
  }
}
