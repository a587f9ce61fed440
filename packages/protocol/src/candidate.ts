import { PeerError } from '@kith/base';
import ipaddr from 'ipaddr.js';

/**
 * One ICE candidate with the ICE credentials that it belongs to, in IPOP's twelve colon-separated fields:
 * `id:component:protocol:ip:port:priority:username:password:type:interface:generation:foundation`.
 * IPOP's form breaks on IPv6; ours puts an IPv6 address in brackets.
 */
export interface Candidate {
  component: number;
  protocol: 'udp';
  ip: string;
  port: number;
  priority: number;
  ufrag: string;
  pwd: string;
  type: 'local' | 'stun' | 'relay';
  foundation: string;
}

/** RFC 8839 §5.4: ice-char = ALPHA / DIGIT / "+" / "/"; ufrag 4 to 256, pwd 22 to 256 characters (IPOP's constants are shorter). */
const ICE_TEXT = /^[A-Za-z0-9+/_]{1,256}$/;
const FOUNDATION = /^[A-Za-z0-9+/]{1,32}$/;

/** Candidates of one end of a link. A host with more addresses than this is not helped by more. */
export const MAX_CANDIDATES = 32;
const MAX_CANDIDATE_CHARS = 700;

const SDP_TYPE = { local: 'host', stun: 'srflx', relay: 'relay' } as const;
const TYPE_OF_SDP = new Map<string, Candidate['type']>([
  ['host', 'local'],
  ['srflx', 'stun'],
  ['prflx', 'stun'],
  ['relay', 'relay'],
]);

export function formatCandidate(candidate: Candidate): string {
  const ip = candidate.ip.includes(':') ? `[${candidate.ip}]` : candidate.ip;
  return [
    '0',
    candidate.component,
    candidate.protocol,
    ip,
    candidate.port,
    candidate.priority,
    candidate.ufrag,
    candidate.pwd,
    candidate.type,
    '',
    '0',
    candidate.foundation,
  ].join(':');
}

/** @throws PeerError CANDIDATE_INVALID that names the offending part. */
export function parseCandidate(text: string): Candidate {
  if (text.length > MAX_CANDIDATE_CHARS) throw invalid('is too long', text);
  const match = /^([^:]*):([^:]*):([^:]*):(\[[^\]]*\]|[^:]*):(.*)$/.exec(text);
  if (!match) throw invalid('must have 12 colon-separated fields', text);
  const [, , component, protocol, ipText, rest] = match;
  const fields = (rest ?? '').split(':');
  if (fields.length !== 8) throw invalid('must have 12 colon-separated fields', text);
  const [port, priority, ufrag, pwd, type, , , foundation] = fields;
  if (component !== '1') throw invalid('component must be 1 (RTP-mux has no second)', text);
  if (protocol?.toLowerCase() !== 'udp') throw invalid('protocol must be udp', text);
  const ip = parseIp(ipText ?? '', text);
  if (!ICE_TEXT.test(ufrag ?? '') || !ICE_TEXT.test(pwd ?? '')) throw invalid('username or password', text);
  if (type !== 'local' && type !== 'stun' && type !== 'relay')
    throw invalid('type must be local, stun or relay', text);
  if (!FOUNDATION.test(foundation ?? '')) throw invalid('foundation', text);
  return {
    component: 1,
    protocol: 'udp',
    ip,
    port: integer(port, 1, 65_535, 'port', text),
    priority: integer(priority, 0, 0xffff_ffff, 'priority', text),
    ufrag: ufrag ?? '',
    pwd: pwd ?? '',
    type,
    foundation: foundation ?? '',
  };
}

/**
 * A space-separated list of candidates; empty text is an empty list.
 * @throws PeerError CANDIDATE_INVALID, also when their ICE credentials differ: one list describes one ICE session.
 */
export function parseCandidates(text: string): Candidate[] {
  const parts = text.split(' ').filter((part) => part !== '');
  if (parts.length > MAX_CANDIDATES) throw invalid(`lists more than ${MAX_CANDIDATES}`, '');
  const candidates = parts.map(parseCandidate);
  const first = candidates[0];
  for (const candidate of candidates) {
    if (candidate.ufrag !== first?.ufrag || candidate.pwd !== first.pwd) {
      throw invalid('username and password must be the same in one list', '');
    }
  }
  return candidates;
}

/** The `candidate:` line of RFC 8839 §5.1, without `a=`. */
export function toSdpCandidate(candidate: Candidate): string {
  // RFC 8839 §5.1 wants raddr/rport on reflexive and relayed candidates; they are for diagnosis only, and we do not tell a peer more
  // of our inner addresses than ICE needs.
  const related = candidate.type === 'local' ? '' : ' raddr 0.0.0.0 rport 0';
  return `candidate:${candidate.foundation} ${candidate.component} UDP ${candidate.priority} ${candidate.ip} ${candidate.port} typ ${SDP_TYPE[candidate.type]}${related}`;
}

/** Reads an SDP candidate line of our own ICE agent; undefined for what we do not signal (TCP, names instead of addresses). */
export function fromSdpCandidate(line: string, ufrag: string, pwd: string): Candidate | undefined {
  const words = line
    .replace(/^a=/, '')
    .replace(/^candidate:/, '')
    .trim()
    .split(/\s+/);
  const [foundation, component, protocol, priority, ip, port, typ, sdpType] = words;
  const type = TYPE_OF_SDP.get(sdpType ?? '');
  if (component !== '1' || protocol?.toLowerCase() !== 'udp' || typ !== 'typ' || type === undefined)
    return undefined;
  if (ip === undefined || !ipaddr.isValid(ip) || foundation === undefined) return undefined;
  return {
    component: 1,
    protocol: 'udp',
    ip,
    port: Number(port),
    priority: Number(priority),
    ufrag,
    pwd,
    type,
    foundation,
  };
}

function parseIp(text: string, whole: string): string {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  // Only the four-part form of IPv4: `0x7f.1` and the like have fooled filters before.
  if (!ipaddr.IPv4.isValidFourPartDecimal(bare) && !ipaddr.IPv6.isValid(bare))
    throw invalid('ip address', whole);
  if (bare.includes('%')) throw invalid('ip address must have no zone', whole);
  return bare;
}

function integer(text: string | undefined, low: number, high: number, name: string, whole: string): number {
  const value = /^\d{1,10}$/.test(text ?? '') ? Number(text) : Number.NaN;
  if (!(value >= low && value <= high)) throw invalid(`${name} must be ${low} to ${high}`, whole);
  return value;
}

function invalid(what: string, text: string): PeerError {
  const shown = text === '' ? '' : ` in ${JSON.stringify(text.slice(0, 80))}`;
  return new PeerError('CANDIDATE_INVALID', `candidate: ${what}${shown}`, { field: 'cas' });
}
