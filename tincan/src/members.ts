import { SystemError } from '@kith/base';
import { formatMac, macOfUid, type Uid } from '@kith/protocol';

/** Members of one network that tincan is told of; what each costs is some hundred bytes. */
export const MAX_MEMBERS = 4_096;

/** A node that may be linked, and the addresses that this node knows it by. */
export interface NetworkMember {
  readonly uid: Uid;
  readonly ip4: string | null;
  readonly ip6: string | null;
  /** `ip4` is how this node sees it; what its own node says is another address space's. */
  readonly isTranslated: boolean;
}

/** The members that the controller named. What it says of one replaces what it said before. */
export class Members {
  readonly #byUid = new Map<Uid, NetworkMember>();
  readonly #byMac = new Map<string, Uid>();

  /** @throws SystemError MEMBER_LIMIT when there are too many. */
  set(member: NetworkMember): void {
    if (!this.#byUid.has(member.uid) && this.#byUid.size >= MAX_MEMBERS) {
      throw new SystemError('MEMBER_LIMIT', `this node knows its ${MAX_MEMBERS} members already`, {
        field: 'uid',
      });
    }
    this.#byUid.set(member.uid, member);
    this.#byMac.set(formatMac(macOfUid(member.uid)), member.uid);
  }

  /** False when there was none. */
  remove(uid: Uid): boolean {
    this.#byMac.delete(formatMac(macOfUid(uid)));
    return this.#byUid.delete(uid);
  }

  get(uid: Uid): NetworkMember | undefined {
    return this.#byUid.get(uid);
  }

  /** The member whose virtual card has this MAC (6 bytes). */
  uidOfMac(mac: Uint8Array): Uid | undefined {
    return this.#byMac.get(formatMac(mac));
  }

  get size(): number {
    return this.#byUid.size;
  }

  all(): IterableIterator<NetworkMember> {
    return this.#byUid.values();
  }
}
