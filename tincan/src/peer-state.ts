import type { ConnectionStats, NetworkView, PeerState, Uid } from '@kith/protocol';
import { type CandidateType, isRelayedPair, type SelectedPair } from './channel/peer-session.ts';
import type { SelectedPath } from './direct/path-finder.ts';
import { pathText } from './direct/path-text.ts';

/** What a link measured about itself. Times in milliseconds. */
export interface LinkReport {
  uid: Uid;
  attempt: number;
  fingerprint: string | undefined;
  online: boolean;
  ageMs: number;
  silenceMs: number | null;
  rttMs: number | null;
  ip4: string | null;
  ip6: string | null;
  agreed: 'encrypted' | 'plain';
  pair: SelectedPair | null;
  /** The TURN server to which our end of the pair goes by a stream, e.g. `tls hub.example.org:5349`. */
  via?: string | undefined;
  /** The direct path in use, and whether its datagrams are plain; null: the channel carries. */
  direct: (SelectedPath & { plain: boolean }) | null;
  /** How UDP leaves the peer's machine, as it says; null: it has not said. */
  network: NetworkView | null;
  /** How the peer handles frames; undefined: it has not said. */
  layer?: 2 | 3 | undefined;
  rxBytes: number;
  txBytes: number;
  /** Since the last frame in either direction; null: there was none. */
  idleMs: number | null;
  detail: string | null;
  counters: Record<string, number>;
}

const TYPE_WORDS: Record<CandidateType, string> = { local: 'host', stun: 'mapped', relay: 'relay' };

/** The API's peer_state of a link: IPOP's fields first, then ours. */
export function peerStateOf(report: LinkReport, stats: boolean): PeerState {
  const { pair, direct } = report;
  return {
    type: 'peer_state',
    uid: report.uid,
    status: report.online ? 'online' : 'offline',
    ...(report.fingerprint === undefined ? {} : { fpr: report.fingerprint }),
    last_time: Math.floor(report.ageMs / 1000),
    ...(report.ip4 === null ? {} : { ip4: report.ip4 }),
    ...(report.ip6 === null ? {} : { ip6: report.ip6 }),
    // By what carries now: the channel is DTLS whatever the ends agreed for the direct carrier. IPOP's word for encrypted is dtls.
    ...(report.online ? { security: report.direct?.plain ? ('none' as const) : ('dtls' as const) } : {}),
    ...(report.online && stats && pair !== null ? { stats: [connectionStats(report, pair)] } : {}),
    xmpp_time: 0,
    attempt: report.attempt,
    state: report.online ? 'online' : 'connecting',
    agreed: report.agreed,
    carrier: report.online ? (direct === null ? 'channel' : 'direct') : null,
    path: direct !== null ? pathText(direct) : pair === null ? null : pathWords(pair, report.via),
    relayed: report.online && (direct === null ? isRelayedPair(pair) : direct.isRelayed),
    network: report.network,
    ...(report.layer === undefined ? {} : { layer: report.layer }),
    rtt_ms: report.rttMs,
    rx_bytes: report.rxBytes,
    tx_bytes: report.txBytes,
    last_heard_ms: report.silenceMs,
    last_traffic_ms: report.idleMs,
    detail: report.detail,
    counters: report.counters,
  };
}

/** What a link that came online begins with. */
export function hereText(pair: SelectedPair | null): string {
  return pair === null ? 'channel' : `channel by ${pathWords(pair, undefined)}`;
}

/** e.g. `host 10.0.0.2:40001`, or `relay 198.51.100.1:61000 to 203.0.113.9:40001 via tls hub.example.org:5349`. */
function pathWords(pair: SelectedPair, via: string | undefined): string {
  const stream = via === undefined ? '' : ` via ${via}`;
  if (pair.remoteType === 'relay') return `relay ${pair.remote}${stream}`;
  if (pair.localType === 'relay') return `relay ${pair.local} to ${pair.remote}${stream}`;
  return `${TYPE_WORDS[pair.remoteType]} ${pair.remote}`;
}

function connectionStats(report: LinkReport, pair: SelectedPair): ConnectionStats {
  const seconds = Math.max(1, report.ageMs / 1000);
  return {
    local_addr: pair.local,
    rem_addr: pair.remote,
    local_type: pair.localType,
    rem_type: pair.remoteType,
    best_conn: true,
    writable: true,
    readable: true,
    timeout: false,
    new_conn: false,
    rtt: Math.round(report.rttMs ?? 0),
    sent_total_bytes: report.txBytes,
    // Over the link's life: IPOP's field without a clock of its own.
    sent_bytes_second: Math.round(report.txBytes / seconds),
    recv_total_bytes: report.rxBytes,
    recv_bytes_second: Math.round(report.rxBytes / seconds),
  };
}
