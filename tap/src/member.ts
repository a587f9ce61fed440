import { ConfigError } from '@kith/base';
import { IP4_BYTES, IP6_BYTES, isStationMac, MAC_BYTES } from './addresses.ts';

/** A node to which a link may be made. */
export interface Member {
  /** Its name to the caller of setMember; here only something to say it by. */
  readonly uid: string;
  /** 6 bytes, as its link will bind it. */
  readonly mac: Uint8Array;
  /** 4 bytes: the address by which this node knows it. Null: none yet. */
  readonly ip4: Uint8Array | null;
  /** 16 bytes, or null. */
  readonly ip6: Uint8Array | null;
}

/**
 * Rewriting of the IPv4 addresses, 4 bytes each, of all that comes in over a link whose two ends do not share an address space.
 * Only the receiver rewrites, and nothing is remembered of any flow.
 */
export interface LinkTranslation {
  /** The other end's own address: the only source that its packets may have. */
  readonly remote: Uint8Array;
  /** What `remote` becomes: the address by which this node knows the other end. */
  readonly source: Uint8Array;
  /** What the destination becomes, whatever the other end calls this node: this node's own address. */
  readonly destination: Uint8Array;
  /** What the other end calls this node, where that is known: then an ARP request for anybody else stays one. */
  readonly localMapped?: Uint8Array;
}

/** What a link that came up is bound to. */
export interface LinkBinding {
  readonly mac: Uint8Array;
  /** Not looked at with a translation: then it is `translation.source`. */
  readonly ip4: Uint8Array | null;
  readonly ip6: Uint8Array | null;
  readonly translation?: LinkTranslation;
  /** The other end takes IP packets alone and answers no ARP or neighbour discovery, so that this node answers in its place. */
  readonly isLayer3?: boolean;
}

/** How frames find their way. */
export interface NetworkMode {
  /**
   * 2: a switch; what has no known destination goes to all. 3: unicast IP between known nodes alone; ARP and neighbour discovery are
   * answered here, and all else is dropped and counted.
   */
  readonly layer: 2 | 3;
  /** Whether to tell of a frame that waits for a link. */
  readonly onDemand: boolean;
  /** IPv4 addresses, 4 bytes each, that no link may send from but one that is bound to it, in layer 2 either. */
  readonly kept?: readonly Uint8Array[];
}

/** Throws ConfigError for addresses that no node can have. */
export function assertMember(member: Member): void {
  if (member.mac.length !== MAC_BYTES || !isStationMac(member.mac, 0)) {
    throw new ConfigError('TAP_MAC', 'the MAC address must be 6 bytes, neither zero nor multicast', {
      field: 'mac',
    });
  }
  const isSound =
    (member.ip4 === null || member.ip4.length === IP4_BYTES) &&
    (member.ip6 === null || member.ip6.length === IP6_BYTES);
  if (!isSound)
    throw new ConfigError('TAP_ADDRESS', 'ip4 must have 4 bytes, ip6 16', {
      field: member.ip4 === null || member.ip4.length === IP4_BYTES ? 'ip6' : 'ip4',
    });
}
