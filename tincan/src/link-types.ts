import type { Hello, IceServer, SecurityTerms, Uid } from '@kith/protocol';
import type { DirectNode } from './direct/direct-node.ts';
import type { Identity } from './identity.ts';
import type { Link } from './link.ts';

/** What the node says about itself in hello. */
export interface LocalNode {
  identity: Identity;
  ip4: string | null;
  ip6: string | null;
  /** Undefined where there is no direct carrier: switched off, or refused by the machine. */
  direct: DirectNode | undefined;
}

export interface LinkParameters {
  uid: Uid;
  attempt: number;
  encrypted: boolean;
  security: { mine: SecurityTerms; theirs: SecurityTerms } | undefined;
  iceServers: readonly IceServer[];
}

export interface LinkEvents {
  /** More local candidates are known; `complete` when there will be no more. */
  candidates(link: Link, complete: boolean): void;
  online(link: Link, hello: Hello): void;
  closed(link: Link, reason: string): void;
  /** One chunk from the peer. */
  chunk(link: Link, data: Uint8Array, offset: number, length: number): void;
}
