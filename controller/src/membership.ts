import { bareJid } from '@kith/protocol';
import type { BlockChange } from './xmpp/index.ts';

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
  readonly #blocked = new Set<string>();
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
    return bare === this.#self || (this.#members.has(bare) && !this.#isBlocked(bare));
  }

  /**
   * The account's block list changed (XEP-0191): what this person does not want to hear of is no member, whatever the roster says.
   * Gives the members that are not blocked any more.
   */
  block({ what, jids }: BlockChange): string[] {
    const before = [...this.#members].filter((jid) => this.#isBlocked(jid));
    if (what === 'all') this.#blocked.clear();
    for (const jid of jids) {
      if (what === 'remove') this.#blocked.delete(jid);
      else if (this.#blocked.size < MAX_ROSTER) this.#blocked.add(jid);
    }
    return before.filter((jid) => !this.#isBlocked(jid));
  }

  /** Members, this account left out. */
  get count(): number {
    return [...this.others()].length;
  }

  /** Bare JIDs of all members but this account. */
  others(): Iterable<string> {
    return [...this.#members].filter((jid) => !this.#isBlocked(jid));
  }

  #isBlocked(bare: string): boolean {
    return this.#blocked.has(bare) || this.#blocked.has(bare.slice(bare.indexOf('@') + 1));
  }

  #admits(entry: RosterEntry): boolean {
    return entry.subscription === 'both' && (this.#group === undefined || entry.groups.includes(this.#group));
  }
}
