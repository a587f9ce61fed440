import { type Logger, monotonicMs } from '@kith/base';
import { Aead } from '@kith/posix';
import type { Uid } from '@kith/protocol';
import type { StreamRelays } from '../relay/stream-relays.ts';
import { resolveHost } from '../resolve-host.ts';
import { isForeignTunnel } from '../tunnel-interfaces.ts';
import { DirectNode } from './direct-node.ts';
import type { DirectPort } from './direct-port.ts';
import { readLocalAddresses } from './local-addresses.ts';

export interface OpenDirectNode {
  /** Undefined when the TAP device was opened without a direct carrier. */
  port: DirectPort | undefined;
  me: Uid;
  ownInterface: string;
  /** Interfaces that the controller excluded from carrying links. */
  isIgnored(name: string): boolean;
  /** Whether an address is of the network itself, or leads into it. */
  isInside(ip: string): boolean;
  /** The way to TURN servers by TCP and TLS. */
  streams: StreamRelays;
  log: Logger;
}

/** The node's side of all direct carriers, on the real clock, interfaces and resolver; undefined where there can be none. */
export function openDirectNode(options: OpenDirectNode): DirectNode | undefined {
  const { port, me, ownInterface, isIgnored, isInside, streams, log } = options;
  if (port === undefined) return undefined;
  const ciphers = Aead.available();
  if (!ciphers.aes && !ciphers.chacha) {
    log.warn("node's OpenSSL seals with neither cipher; the data channel carries everything");
    return undefined;
  }
  return new DirectNode({
    port,
    me,
    ownInterface,
    isOverlay: isInside,
    // Without AES instructions ChaCha20 is several times faster, where OpenSSL has it.
    aes: ciphers.aes && (Aead.hasAesHardware() || !ciphers.chacha),
    log,
    clock: monotonicMs,
    readAddresses: () =>
      readLocalAddresses().filter(({ interface: name }) => !isIgnored(name) && !isForeignTunnel(name)),
    resolve: resolveHost,
    // They stand on loopback by IPv4, which a socket for IPv6 alone does not reach.
    streams: port.family === 6 ? undefined : streams,
  });
}
