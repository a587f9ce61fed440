import type { Logger } from '@kith/base';
import type { DirectControl, Uid } from '@kith/protocol';
import type { EventLog, PathEvent } from './event-log.ts';
import type { SelectedPath } from './path-finder.ts';
import type { PathSetOptions } from './path-set.ts';
import type { RelayedPort } from './relayed-port.ts';

/** What a link says of itself. */
export interface DirectTerms {
  /** Number by which the data plane knows the link. */
  link: number;
  peer: Uid;
  /** The higher of both ends' attempt numbers. */
  attempt: number;
  /** The security terms that DTLS has proved say plain. */
  plain: boolean;
  /** Where the story of the path is told; its own log if left out. */
  events?: EventLog | undefined;
  /** The peer knows candidates of kind `relay`. */
  peerKnowsRelays: boolean;
  /** How long the link took to come up once the peer's addresses were known, ms. */
  tookMs: number;
  /** Of this machine, see slowdown.ts. */
  slowdown: number;
  /** The carrier is not calm. */
  restless?: (() => void) | undefined;
  /** The round trip of the data channel, ms, where no relay carries it; null: a relay does, or it is not known. */
  channelRtt: () => number | null;
  /** When the data channel last heard the peer, monotonic ms. */
  channelHeardAt: () => number;
}

export interface DirectCarrierOptions extends DirectTerms, PathSetOptions {
  me: Uid;
  aes: boolean;
  port: RelayedPort;
  log: Logger;
  /** ms, monotonic */
  clock: () => number;
  /** 0 ≤ x < 1 */
  random: () => number;
}

export interface DirectCarrierActions {
  /** Over the link's control channel. */
  send(message: DirectControl): void;
  reserveIndex(): number;
  releaseIndex(index: number): void;
  /** Whether this link wants our TURN servers' help. */
  wantRelay(wants: boolean): void;
  closed(): void;
}

/** What the carrier does now and what it counted. */
export interface DirectReport {
  path: SelectedPath | null;
  rttMs: number | null;
  plain: boolean;
  rxBytes: number;
  txBytes: number;
  /** Grows while the link is used. */
  used: number;
  /** monotonicMs clock; -Infinity: nothing authentic came yet. */
  heardAt: number;
  events: readonly PathEvent[];
  counters: Record<string, number>;
}
