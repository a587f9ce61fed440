import type { PeerState } from './api-replies.ts';
import type { Uid } from './uid.ts';

/** The peer_state of a node without a link. */
export function offlinePeer(uid: Uid): PeerState {
  return {
    type: 'peer_state',
    uid,
    status: 'offline',
    xmpp_time: 0,
    attempt: 0,
    state: 'connecting',
    agreed: 'encrypted',
    carrier: null,
    path: null,
    rtt_ms: null,
    rx_bytes: 0,
    tx_bytes: 0,
    last_heard_ms: null,
    last_traffic_ms: null,
    detail: null,
    counters: {},
  };
}
