import { SystemError } from '@kith/base';
import type { ApiReply, Uid } from '@kith/protocol';

/** Names that one controller may give; as many as members. */
const MAX_NAMES = 4_096;

/**
 * UIDs as a controller of IPOP's chooses them. There a UID is any 40 hex digits, and who has it is what the controller believes; here it
 * follows from the certificate. So what such a controller calls a UID is kept as a name for the true one, which the fingerprint in its
 * create_link tells. What nobody named stands for itself. On links and between nodes there are only true UIDs.
 */
export class UidNames {
  readonly #me: Uid;
  readonly #trueOf = new Map<string, Uid>();
  readonly #nameOf = new Map<Uid, string>();

  constructor(me: Uid) {
    this.#me = me;
  }

  /** Names this node. The first name stays, as in IPOP. */
  nameSelf(name: string): void {
    if (!this.#nameOf.has(this.#me)) this.#give(name, this.#me);
  }

  /**
   * Names the node that has a fingerprint. Returns the UID that the name stood for until now, when it was another.
   * @throws SystemError MEMBER_LIMIT when there are too many names.
   */
  name(name: string, uid: Uid): Uid | undefined {
    const before = this.uidOf(name);
    if (before === uid) return undefined;
    if (!this.#trueOf.has(name) && this.#trueOf.size >= MAX_NAMES) {
      throw new SystemError('MEMBER_LIMIT', `this node knows ${MAX_NAMES} names already`, { field: 'uid' });
    }
    this.#give(name, uid);
    return before;
  }

  /** The node that a name stands for. */
  uidOf(name: string): Uid {
    return this.#trueOf.get(name) ?? name;
  }

  nameOf(uid: Uid): string {
    return this.#nameOf.get(uid) ?? uid;
  }

  /** A message with names in the place of UIDs. */
  named(message: ApiReply): ApiReply {
    if (message.type === 'local_state') return { ...message, _uid: this.nameOf(message._uid) };
    return 'uid' in message ? { ...message, uid: this.nameOf(message.uid) } : message;
  }

  #give(name: string, uid: Uid): void {
    // One name, one node, both ways.
    this.#nameOf.delete(this.uidOf(name));
    this.#trueOf.delete(this.nameOf(uid));
    this.#trueOf.set(name, uid);
    this.#nameOf.set(uid, name);
  }
}
