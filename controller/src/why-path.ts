import type { IceServer, LinkStatus, NetworkView, UdpClass } from '@kith/protocol';

/** A link that is younger is still looking for a direct path: its probes come at 1 s and at 5 s. */
const LOOKING_MS = 6_000;

/** An answer to con_req takes a few round trips; one that takes longer than this is missed by the person who waits. */
const UNANSWERED_MS = 3_000;

/** What is known of a link and of the networks of both ends. */
export interface PathFacts {
  /** What a person calls the peer. */
  peer: string;
  state: LinkStatus['state'];
  carrier: LinkStatus['carrier'];
  relayed: boolean;
  /** Since the link came online, or since the attempt began; null: neither. */
  ageMs: number | null;
  mine: NetworkView | null;
  theirs: NetworkView | null;
  /** Whether the hub can be reached now. */
  hubOnline: boolean;
  /** The peer has answered the attempt that is under way. */
  answered: boolean;
  /** Why the last attempt failed, or why the next one waits. */
  failure: string | null;
  servers: readonly IceServer[];
}

/** Why a link has no direct path, or is not there at all; null when it has one, or when something else says it. Pure. */
export function whyPath(facts: PathFacts): string | null {
  if (facts.state === 'online')
    return facts.carrier === 'direct' && !facts.relayed ? null : whyNotDirect(facts);
  if (facts.state === 'connecting') return `not connected: ${whyNotConnected(facts)}`;
  if (facts.state === 'idle')
    return 'not connected: no packet has asked for it; links of this network are made on demand';
  if (facts.state === 'offline' && facts.hubOnline)
    return `not connected: ${facts.peer} has no node signed in at the hub`;
  return facts.state === 'offline'
    ? 'not connected: the hub is not reached, and nothing is known of the peer'
    : null;
}

function whyNotDirect(facts: PathFacts): string {
  const how = facts.relayed ? 'relayed' : 'data channel only';
  const obstacle = obstacleOf(facts);
  if (obstacle !== null) return `${how}: ${obstacle}`;
  if (facts.ageMs !== null && facts.ageMs < LOOKING_MS) return `${how}: a direct path is still looked for`;
  const { mine, theirs } = facts;
  if (theirs === null)
    return `${how}: no direct path has answered, and ${facts.peer} says nothing of its network`;
  if (mine !== null && isJudged(mine) && isJudged(theirs)) {
    return `${how}: UDP between the two is blocked; both reach others by it`;
  }
  return `${how}: no direct path has answered; too few STUN servers answer to tell how the NATs map ports`;
}

function whyNotConnected(facts: PathFacts): string {
  const { peer, hubOnline, answered, ageMs, failure, mine, theirs, servers } = facts;
  if (!hubOnline) return 'the hub is not reached, and without it no new link can be made';
  if (!answered && ageMs !== null && ageMs >= UNANSWERED_MS) {
    return `no answer to con_req for ${Math.round(ageMs / 1000)} s (is ${peer}'s machine asleep?)`;
  }
  const turn = servers.filter(({ type }) => type === 'turn');
  const byStream = turn.some(({ transport }) => transport === 'tcp' || transport === 'tls');
  if (!byStream && mine !== null && hasNoUdp(mine))
    return 'this node has no UDP, and no TURN server over TCP is known';
  if (!byStream && theirs !== null && hasNoUdp(theirs)) {
    return `${peer} has no UDP, and the hub names no TURN server over TCP`;
  }
  const obstacle = obstacleOf(facts);
  if (obstacle !== null && turn.length === 0) return `${obstacle}, and no relay (TURN server) is known`;
  const lone = loneFamily(theirs);
  if (obstacle !== null && lone !== null && !servesBoth(turn)) {
    return `${peer} has ${lone} only, and the hub offers no relay with both`;
  }
  if (failure !== null) return failure;
  if (answered && ageMs !== null && ageMs >= UNANSWERED_MS) {
    return `${peer} answered, but for ${Math.round(ageMs / 1000)} s no path between the two has`;
  }
  return 'the first attempt is under way';
}

/** What of the two networks keeps datagrams apart; null: nothing that is known. */
function obstacleOf({ mine, theirs, peer, ageMs }: PathFacts): string | null {
  if (mine !== null && hasNoUdp(mine)) return 'this node has no UDP';
  if (theirs !== null && hasNoUdp(theirs)) return `${peer} has no UDP`;
  if (mine === null || theirs === null) return null;
  const shared = (['ip4', 'ip6'] as const).filter((family) => works(mine[family]) && works(theirs[family]));
  if (shared.length === 0) {
    if (!isJudged(mine) || !isJudged(theirs)) return null;
    return `this node has UDP by ${familiesOf(mine)} only, and ${peer} by ${familiesOf(theirs)} only`;
  }
  const isYoung = ageMs !== null && ageMs < LOOKING_MS;
  const obstacles = shared.map((family) => natObstacle(mine[family], theirs[family], peer, isYoung));
  // One family without an obstacle is enough.
  return obstacles.includes(null) ? null : (obstacles[0] ?? null);
}

/** What one NAT that maps per destination does to a pair depends on how the other filters, which only failure shows. */
function natObstacle(mine: UdpClass, theirs: UdpClass, peer: string, isYoung: boolean): string | null {
  if (mine === 'per-destination' && theirs === 'per-destination')
    return 'both NATs map ports per destination';
  const one = mine === 'per-destination' ? 'the NAT here maps' : `the NAT of ${peer} maps`;
  const other = mine === 'per-destination' ? theirs : mine;
  if (isYoung || (mine !== 'per-destination' && theirs !== 'per-destination')) return null;
  return other === 'same' || other === 'nat'
    ? `${one} ports per destination, and the other seems to let in only what it has sent to`
    : null;
}

function works(udp: UdpClass): boolean {
  return udp !== 'none' && udp !== 'silent' && udp !== 'unknown';
}

function isJudged({ ip4, ip6 }: NetworkView): boolean {
  return ip4 !== 'unknown' && ip6 !== 'unknown' && (works(ip4) || works(ip6));
}

function hasNoUdp({ ip4, ip6 }: NetworkView): boolean {
  const isDead = (udp: UdpClass) => udp === 'none' || udp === 'silent';
  return isDead(ip4) && isDead(ip6);
}

function loneFamily(network: NetworkView | null): string | null {
  if (network === null || works(network.ip4) === works(network.ip6)) return null;
  return familiesOf(network);
}

function familiesOf({ ip4, ip6 }: NetworkView): string {
  return works(ip4) ? (works(ip6) ? 'IPv4 and IPv6' : 'IPv4') : 'IPv6';
}

/** A name may stand for both families; an address is of one. */
function servesBoth(turn: readonly IceServer[]): boolean {
  const isName = ({ host }: IceServer) => !host.includes(':') && !/^[\d.]+$/.test(host);
  if (turn.some(isName)) return true;
  return turn.some(({ host }) => host.includes(':')) && turn.some(({ host }) => !host.includes(':'));
}
