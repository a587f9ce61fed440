import type { Endpoint } from '../endpoint.ts';

/** Key material of one direction of a link for the data plane. The callee copies it before it returns; the caller wipes its own. */
export type DirectKeys =
  | {
      mode: 'sealed';
      cipher: 'aes-256-gcm' | 'chacha20-poly1305';
      /** 32 bytes */
      key: Uint8Array;
      /** 4 bytes */
      fixedIv: Uint8Array;
    }
  | {
      mode: 'plain';
      /** 16 bytes that end every datagram */
      tag: Uint8Array;
    };

/** A TURN server of ours. */
export interface RelayServer extends Endpoint {
  /** What people call it, where the endpoint is a socket of this process that leads to it. */
  name?: string | undefined;
}

/** Where a datagram goes to or came from: an endpoint, reached by way of a TURN server of ours where `via` is given. */
export interface Address extends Endpoint {
  via?: RelayServer;
}

/** What the data plane counts of one link since it was set up. */
export interface DirectLinkStats {
  rxBytes: number;
  txBytes: number;
  rxDatagrams: number;
  txDatagrams: number;
  /** monotonicMs clock; 0: never. */
  lastReceivedMs: number;
  forged: number;
  replayed: number;
  /** Where the last authenticated data datagram came from; with a channel above 0: of the TURN server at that endpoint. */
  source: (Endpoint & { channel?: number }) | null;
  /** Datagrams sealed with the current sending key. */
  sentSinceRekey: number;
  /** Grows with every frame to one station, in either direction; what goes to everybody tells nothing of a link's use. */
  used: number;
}

/** What the direct carrier needs of the data plane: one UDP socket for all links, served by the workers. */
export interface DirectPort {
  readonly port: number;
  readonly family: 4 | 6 | 'dual';
  addReceiver(index: number, link: number, keys: DirectKeys): void;
  removeReceiver(index: number): void;
  setSender(link: number, peerIndex: number, keys: DirectKeys): void;
  /**
   * `datagramBytes` is the whole UDP payload. With a channel above 0 the endpoint is a TURN server's, which passes on what comes in
   * it. Null: the data channel carries.
   */
  setPath(link: number, path: (Endpoint & { datagramBytes: number; channel?: number }) | null): void;
  /** ChannelData is taken from this TURN server. */
  addRelay(server: Endpoint): void;
  removeRelay(server: Endpoint): void;
  removeLink(link: number): void;
  /** From the main thread: probes and STUN. False when it did not leave. */
  sendControl(ip: string, port: number, data: Uint8Array): boolean;
  onControl(handler: (data: Uint8Array, from: Endpoint) => void): void;
  linkStats(link: number): DirectLinkStats;
  /** Calls the handler once, when the next frame to one station goes or comes by any link. */
  whenUsed(handler: () => void): void;
  onPathError(handler: (link: number, errnoName: string) => void): void;
}
