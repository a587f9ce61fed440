import type { KithConfig } from '@kith/config';
import type { LinkStatus, LocalState, NetworkView, PeerState, StatusReport, Uid } from '@kith/protocol';
import type { PeerState as MachineState } from './peer-state.ts';
import type { HubState } from './xmpp/index.ts';

/** What the controller knows of one peer node. */
export interface PeerView {
  uid: Uid;
  member: string;
  present: boolean;
  state: MachineState;
  why: string;
  /** Why the last attempt failed, if one did since the link was last online. */
  lastFailure: string | null;
  /** The node has answered the attempt that is under way. */
  answered: boolean;
  /** How UDP leaves its machine, as its last signal says. */
  network: NetworkView | null;
}

export interface StatusInput {
  config: KithConfig;
  /** Milliseconds, monotonic. */
  now: number;
  startedAt: number;
  hub: HubState | undefined;
  /** Why tincan cannot be used, or null. */
  tincanProblem: string | null;
  local: LocalState | undefined;
  /** tincan's measurements, taken just now. */
  measured: readonly PeerState[];
  peers: readonly PeerView[];
  /** Members by the roster, this account left out; null while the roster is not known. */
  memberCount: number | null;
  /** Bare JIDs of members to be shown even when none of their nodes was ever seen. */
  members: readonly string[];
  counters: Record<string, number>;
}

/** Pure: puts what was measured before what was intended. */
export function buildStatus(input: StatusInput): StatusReport {
  const { config, local, hub, now } = input;
  const measured = new Map(input.measured.map((state) => [state.uid, state]));
  const links = input.peers.map((peer) => linkStatus(peer, measured.get(peer.uid), now));
  const shown = new Set(input.peers.map((peer) => peer.member));
  const absent = input.members.filter((member) => !shown.has(member)).map(absentMember);
  return {
    schema: 1,
    network: config.name,
    node: {
      uid: local?._uid ?? null,
      jid: config.xmpp.jid,
      ip4: local?._ip4 ? local._ip4 : null,
      mac: local?._mac ?? null,
      ...(local?.network === undefined ? {} : { network: local.network }),
      controller_uptime_ms: Math.round(now - input.startedAt),
    },
    hub: {
      state: hub?.state ?? 'stopped',
      server: config.xmpp.server,
      since_ms: hub === undefined ? 0 : Math.max(0, Math.round(now - hub.since)),
      detail: hub === undefined ? 'waits for tincan, whose certificate names this node' : hub.detail,
      retry_in_ms: hub?.retryInMs ?? null,
    },
    tincan: {
      running: input.tincanProblem === null,
      instance: local?.instance ?? null,
      detail: input.tincanProblem ?? apiWarning(local),
    },
    tap: local === undefined ? null : tapStatus(local, input.tincanProblem === null),
    members: input.memberCount,
    links: [...links, ...absent].sort((a, b) => a.name.localeCompare(b.name) || a.uid.localeCompare(b.uid)),
    counters: { ...linkTotals(input.measured), ...input.counters },
  };
}

/** What a person should know of a tincan that runs. */
function apiWarning(local: LocalState | undefined): string | null {
  return local?.api_auth === 'none'
    ? 'every process of this machine may make links and read and send packets (api.auth: none)'
    : null;
}

function tapStatus(local: LocalState, reached: boolean): NonNullable<StatusReport['tap']> {
  return {
    name: local.interface,
    state: reached ? local.tap : 'down',
    mtu: local.mtu,
    rx_frames: local.counters.tap_rx_frames ?? 0,
    tx_frames: local.counters.tap_tx_frames ?? 0,
    dropped: droppedFrames(local.counters),
  };
}

/** What tincan alone can say: its links by UID, without the names that only a controller knows. */
export function buildTincanStatus(
  local: LocalState,
  measured: readonly PeerState[],
): Pick<StatusReport, 'tincan' | 'tap' | 'links' | 'counters'> {
  return {
    tincan: { running: true, instance: local.instance, detail: apiWarning(local) },
    tap: tapStatus(local, true),
    links: measured.map((peer) => ({
      ...measuredPart(peer),
      name: peer.uid,
      uid: peer.uid,
      state: peer.state,
      why: null,
    })),
    counters: local.counters,
  };
}

function measuredPart(measured: PeerState | undefined): Omit<LinkStatus, 'name' | 'uid' | 'state' | 'why'> {
  return {
    address: measured?.ip4 ?? null,
    // A channel's payload is DTLS whatever the ends agreed; `plain` begins with the direct carrier.
    security: measured?.status !== 'online' ? null : measured.security === 'none' ? 'plain' : 'encrypted',
    carrier: measured?.carrier ?? null,
    path: measured?.path ?? null,
    rtt_ms: measured?.rtt_ms ?? null,
    rx_bytes: measured?.rx_bytes ?? 0,
    tx_bytes: measured?.tx_bytes ?? 0,
    last_heard_ms: measured?.last_heard_ms ?? null,
    detail: measured?.detail ?? null,
  };
}

function linkStatus(peer: PeerView, measured: PeerState | undefined, now: number): LinkStatus {
  const online = measured?.status === 'online';
  return {
    ...measuredPart(measured),
    name: peer.member,
    uid: peer.uid,
    state: online ? 'online' : stateWord(peer),
    why: online && peer.why !== '' ? peer.why : null,
    detail: measured?.detail ?? detail(peer, now),
  };
}

function stateWord({ state, present }: PeerView): LinkStatus['state'] {
  if (state.is === 'refused') return 'refused';
  // It is there, and no packet asks for a link.
  if (present && state.is === 'idle') return 'idle';
  return present || state.is === 'connecting' ? 'connecting' : 'offline';
}

function detail({ state, lastFailure }: PeerView, now: number): string | null {
  switch (state.is) {
    case 'refused':
      return state.reason;
    case 'waiting':
      return `${state.reason}; next try in ${Math.max(0, Math.ceil((state.until - now) / 1000))} s`;
    case 'connecting':
      return `trying for ${Math.round((now - state.since) / 1000)} s${lastFailure === null ? '' : `; the last attempt failed: ${lastFailure}`}`;
    default:
      return null;
  }
}

function absentMember(name: string): LinkStatus {
  return {
    ...measuredPart(undefined),
    name,
    uid: '',
    state: 'offline',
    why: null,
    detail: 'none of its nodes was seen yet',
  };
}

function droppedFrames(counters: Record<string, number>): number {
  return Object.entries(counters)
    .filter(([name]) => name.startsWith('dropped_'))
    .reduce((sum, [, count]) => sum + count, 0);
}

/** Counters of the links that there are now, added up: `links_` and the link's own name. A share cannot be added. */
function linkTotals(measured: readonly PeerState[]): Record<string, number> {
  const totals: Record<string, number> = {};
  for (const [name, value] of measured.flatMap(({ counters }) => Object.entries(counters))) {
    if (name.endsWith('_per_mille')) continue;
    const total = `links_${name}`;
    totals[total] = (totals[total] ?? 0) + value;
  }
  return totals;
}
