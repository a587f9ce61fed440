import {
  type ApiAuth,
  type ApiForm,
  type ApiReply,
  ENVELOPE_VERSION,
  formatMac,
  type LocalState,
  type NetworkView,
  offlinePeer,
  type PeerState,
} from '@kith/protocol';
import type { Identity } from './identity.ts';
import type { Link } from './link.ts';
import type { NetworkMember } from './members.ts';

/** What local_state tells. */
export interface NodeReport {
  identity: Identity;
  ip4: string | null;
  ip6: string | null;
  instance: string;
  version: string;
  interface: string;
  mtu: number;
  tapIsUp: boolean;
  /** UDP port of the direct carrier; null: there is none. */
  directPort: number | null;
  /** How UDP leaves this machine; null where there is no direct carrier to tell. */
  network: NetworkView | null;
  auth: ApiAuth;
  counters: Record<string, number>;
}

/**
 * The replies to get_state: local_state, then a peer_state for each link. A caller of IPOP's forms also gets one for each member
 * without a link, as IPOP tells of every friend; ours knows its members itself.
 */
export function stateReplies(
  node: NodeReport,
  links: readonly Link[],
  members: readonly NetworkMember[],
  form: ApiForm,
  stats: boolean,
  now: number,
): ApiReply[] {
  const linked = new Set(links.map(({ uid }) => uid));
  const unlinked =
    form === ENVELOPE_VERSION ? [] : members.filter(({ uid }) => !linked.has(uid)).map(offlineState);
  const byUid = new Map(members.map((member) => [member.uid, member]));
  const peers = [
    ...links.map((link) => ({ ...addressesOf(byUid.get(link.uid)), ...link.peerState(now, stats) })),
    ...unlinked,
  ];
  return [localState(node, peers.length), ...peers];
}

function localState(node: NodeReport, peers: number): LocalState {
  return {
    type: 'local_state',
    _uid: node.identity.uid,
    _ip4: node.ip4 ?? '',
    _ip6: node.ip6 ?? '',
    _fpr: node.identity.fingerprint,
    _mac: formatMac(node.identity.mac),
    instance: node.instance,
    version: node.version,
    interface: node.interface,
    mtu: node.mtu,
    tap: node.tapIsUp ? 'up' : 'down',
    api_auth: node.auth,
    direct_port: node.directPort,
    ...(node.network === null ? {} : { network: node.network }),
    peers,
    counters: node.counters,
  };
}

function offlineState(member: NetworkMember): PeerState {
  return { ...offlinePeer(member.uid), ...addressesOf(member) };
}

/** What the controller said of a member stands in for what its node has not said. */
function addressesOf(member: NetworkMember | undefined): { ip4?: string; ip6?: string } {
  return {
    ...(member?.ip4 == null ? {} : { ip4: member.ip4 }),
    ...(member?.ip6 == null ? {} : { ip6: member.ip6 }),
  };
}
