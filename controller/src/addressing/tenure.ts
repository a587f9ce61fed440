import type { Uid } from '@kith/protocol';

/**
 * What this node remembers of who had which static address. Who claims an address is anybody's word, and which of two UIDs is the smaller
 * one is a matter of how many keys somebody makes; who had it first is neither.
 */
export interface Tenure {
  /** Bare JID of this node's own account. */
  readonly self: string;
  /** Bare JID of the member to whom a node is pinned. */
  memberOf(uid: Uid): string | undefined;
  /** Whether a person has compared the node's key. */
  isVerified(uid: Uid): boolean;
  /** Since when a node holds an address, ISO 8601; undefined: it does not. */
  heldSince(uid: Uid, ip4: string): string | undefined;
  /** The nodes of members that hold an address, be they there or not. */
  holders(ip4: string): readonly Uid[];
  /** All addresses that nodes of members hold. */
  addresses(): Iterable<string>;
  /** From now on a node holds an address, and none that it held before. Nodes that have never proved themselves hold nothing. */
  hold(uid: Uid, ip4: string): void;
  /** The node itself wants to be elsewhere. */
  giveUp(uid: Uid): void;
}

/** Of a view of one's own, in which nobody else has a say. */
export const NO_TENURE: Tenure = {
  self: '',
  memberOf: () => undefined,
  isVerified: () => false,
  heldSince: () => undefined,
  holders: () => [],
  addresses: () => [],
  hold: () => undefined,
  giveUp: () => undefined,
};
