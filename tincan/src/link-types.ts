import type {
  AccountPair,
  Hello,
  IceServer,
  RelayMessage,
  SecurityTerms,
  Translation,
  Uid,
} from '@kith/protocol';
import type { DirectNode } from './direct/direct-node.ts';
import type { EventLog } from './direct/event-log.ts';
import type { Identity } from './identity.ts';
import type { Link } from './link.ts';
import type { LinkRelay } from './relay/link-relay.ts';

/** What the node says about itself in hello. */
export interface LocalNode {
  identity: Identity;
  ip4: string | null;
  ip6: string | null;
  /** Undefined where there is no direct carrier: switched off, or refused by the machine. */
  direct: DirectNode | undefined;
  /** How this node handles frames now. */
  layer(): 2 | 3;
  /** Addresses of this machine that no link may use: the overlay's own, and those of interfaces that the controller excluded. */
  isExcluded(ip: string): boolean;
}

/** What the controller decides about a link, until the link is bound. */
export interface LinkTerms {
  encrypted: boolean;
  security: { mine: SecurityTerms; theirs: SecurityTerms } | undefined;
  /** Whose the two ends are, as digests; undefined: the controller does not say, and nothing is compared. */
  accounts: AccountPair | undefined;
  /** The addresses of a social network; undefined: none is translated. */
  translation: Translation | undefined;
}

export interface LinkParameters extends LinkTerms {
  uid: Uid;
  attempt: number;
  /** What the direct carrier asks. */
  iceServers: readonly IceServer[];
  /** The one that ICE asks. */
  stunServer?: IceServer | undefined;
  /** The way to the TURN servers for ICE; the link closes it. */
  relay?: LinkRelay;
  /** Where the story of the way to the node is told, which goes on with the next link. */
  history?: EventLog;
  /** How much slower everything is on this machine now, see slowdown.ts; left out: it is not. */
  slowdown?: () => number;
}

export interface LinkEvents {
  /** More local candidates are known; `complete` when there will be no more. */
  candidates(link: Link, complete: boolean): void;
  online(link: Link, hello: Hello): void;
  closed(link: Link, reason: string): void;
  /** An online link went silent, or is heard again. */
  suspect(link: Link, isSuspect: boolean): void;
  /** There is more to see of an online link than of one that is resting. */
  restless(): void;
  /** A message from the peer's controller. */
  relayed(link: Link, message: RelayMessage): void;
  /** One chunk from the peer. */
  chunk(link: Link, data: Uint8Array, offset: number, length: number): void;
}
