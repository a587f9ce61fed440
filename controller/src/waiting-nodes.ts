import type { Uid } from '@kith/protocol';
import type { PresenceChange } from './xmpp/index.ts';

/** New nodes that are remembered in all and of one member; whoever runs the hub can invent as many as they like. */
const MAX_WAITING = 1_024;
const MAX_WAITING_OF_MEMBER = 8;

export interface WaitingNode {
  readonly jid: string;
  readonly uid: Uid;
  reason: string;
  /** Its controller is signed in at the hub. */
  present: boolean;
  /** Fingerprint that it signalled; nothing has proved it, but its first 160 bits are the UID. */
  fpr: string | null;
  /** What its presence said of it, for the day on which it is let in. */
  said: PresenceChange['node'];
}

/**
 * Nodes that a person has to decide about, or whose turn has not come. In memory only: what is there announces itself again after a
 * restart, and a flood of invented nodes writes nothing to disk. A node that is there is never forgotten for one that came later.
 */
export class WaitingNodes {
  readonly #byJid = new Map<string, Map<Uid, WaitingNode>>();
  #count = 0;
  /** Nodes that found no place. */
  dropped = 0;

  get size(): number {
    return this.#count;
  }

  /** Notes a node that is there; true when it was not noted before. */
  note(jid: string, uid: Uid, reason: string): boolean {
    const nodes = this.#byJid.get(jid) ?? new Map<Uid, WaitingNode>();
    const noted = nodes.get(uid);
    if (noted !== undefined) {
      Object.assign(noted, { reason, present: true });
      return false;
    }
    if (nodes.size >= MAX_WAITING_OF_MEMBER && !this.#dropAbsent(nodes.values())) return this.#drop();
    if (this.#count >= MAX_WAITING && !this.#dropAbsent(this.all())) return this.#drop();
    nodes.set(uid, { jid, uid, reason, present: true, fpr: null, said: undefined });
    this.#byJid.set(jid, nodes);
    this.#count++;
    return true;
  }

  /** Keeps the latest that a waiting node's presence said. */
  says(jid: string, uid: Uid, said: PresenceChange['node']): void {
    const node = this.#byJid.get(jid)?.get(uid);
    if (node !== undefined) node.said = said;
  }

  absent(jid: string, uid: Uid): void {
    const node = this.#byJid.get(jid)?.get(uid);
    if (node !== undefined) node.present = false;
  }

  remove(jid: string, uid: Uid): void {
    const nodes = this.#byJid.get(jid);
    if (nodes?.delete(uid) !== true) return;
    this.#count--;
    if (nodes.size === 0) this.#byJid.delete(jid);
  }

  /** Forgets all nodes of whoever is no member any more. */
  retain(isMember: (jid: string) => boolean): void {
    for (const [jid, nodes] of this.#byJid) {
      if (isMember(jid)) continue;
      this.#count -= nodes.size;
      this.#byJid.delete(jid);
    }
  }

  /** A new session at the hub begins: who is there will say so again. */
  allAbsent(): void {
    for (const node of this.all()) node.present = false;
  }

  of(jid: string): WaitingNode[] {
    return [...(this.#byJid.get(jid)?.values() ?? [])];
  }

  get(jid: string, uid: Uid): WaitingNode | undefined {
    return this.#byJid.get(jid)?.get(uid);
  }

  *all(): Generator<WaitingNode> {
    for (const nodes of this.#byJid.values()) yield* nodes.values();
  }

  present(): WaitingNode[] {
    return [...this.all()].filter((node) => node.present);
  }

  #dropAbsent(nodes: Iterable<WaitingNode>): boolean {
    for (const { jid, uid, present } of nodes) {
      if (present) continue;
      this.remove(jid, uid);
      return true;
    }
    return false;
  }

  #drop(): false {
    this.dropped++;
    return false;
  }
}
