import type { Uid } from '@kith/protocol';

/** ICE credentials of one end, as its local description carries them. */
export interface IceCredentials {
  ufrag: string;
  pwd: string;
}

/** Reads `a=ice-ufrag` and `a=ice-pwd` (RFC 8839 §5.4) of our own agent's local description. */
export function iceCredentialsOf(sdp: string): IceCredentials | undefined {
  const ufrag = /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1];
  const pwd = /^a=ice-pwd:(\S+)/m.exec(sdp)?.[1];
  return ufrag === undefined || pwd === undefined ? undefined : { ufrag, pwd };
}

/** SCTP over DTLS listens on port 5000 by custom (RFC 8841 §5.2 names no default; libdatachannel uses it). */
const SCTP_PORT = 5000;

/**
 * The remote end as an SDP answer (RFC 8841, RFC 8842). There is no offerer between the two nodes: each applies the other's
 * description as an answer to its own offer, and who is DTLS server follows from the UIDs: the larger one.
 */
export function remoteAnswer(
  mine: Uid,
  theirs: Uid,
  fingerprint: string,
  ice: IceCredentials,
  maxMessageSize: number,
): string {
  return [
    'v=0',
    'o=- 1 0 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'a=msid-semantic:WMS *',
    `a=setup:${theirs > mine ? 'passive' : 'active'}`,
    `a=ice-ufrag:${ice.ufrag}`,
    `a=ice-pwd:${ice.pwd}`,
    'a=ice-options:trickle',
    `a=fingerprint:sha-256 ${fingerprint}`,
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    'a=mid:0',
    'a=sendrecv',
    `a=sctp-port:${SCTP_PORT}`,
    `a=max-message-size:${maxMessageSize}`,
    '',
  ].join('\r\n');
}
