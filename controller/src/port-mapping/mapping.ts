import type { PortMappingStatus } from '@kith/protocol';
import type { HomeNetwork } from './home-network.ts';

/** What is asked of a router. */
export interface MappingRequest {
  network: HomeNetwork;
  /** UDP port of this machine; the outer port that is wished for is the same. */
  port: number;
  /** Ends the try. */
  signal: AbortSignal;
}

/** An outer port that leads to ours. */
export interface Mapping {
  by: NonNullable<PortMappingStatus['by']>;
  /** Outer IPv4 address, as the router says it. */
  ip: string;
  /** Outer UDP port. */
  port: number;
  /** ms from now until the router forgets it by itself */
  lifetimeMs: number;
  /** Asks for the same again. @throws as the first time. */
  renew(signal: AbortSignal): Promise<Mapping>;
  /** Takes it back. @throws as `renew`. */
  release(signal: AbortSignal): Promise<void>;
}

/**
 * How long a mapping is asked for: short enough that one of a machine that vanished is soon gone, long enough that a router that is
 * busy for minutes does not lose ours.
 */
export const LIFETIME_S = 3_600;
