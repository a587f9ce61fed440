import { UdpSocket } from '@kith/posix';
import type { Ip4Setting } from './device.ts';
import { ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES } from './frame.ts';
import { testUdpOffload } from './self-test.ts';

export interface TapOptions {
  /** Name of the interface, at most 15 characters; it must not exist yet. */
  readonly name: string;
  /** 6 bytes, unicast. */
  readonly mac: Uint8Array;
  /** Largest IP packet in bytes, without the Ethernet header. */
  readonly mtu: number;
  readonly ip4?: Ip4Setting;
  /** Sizes of the two rings in bytes, rounded up to a power of two that holds at least eight of the longest reads. */
  readonly uplinkBytes?: number;
  readonly downlinkBytes?: number;
  /** Super-frames; on by default, and off where the self-test finds that the kernel does not do them. */
  readonly offload?: { readonly tso?: boolean; readonly uso?: boolean };
  /** One thread carries the frames of both directions, or each has its own. One, the default, sleeps less deep and costs less. */
  readonly workers?: 1 | 2;
  /** The direct carrier; left out or false: none. */
  readonly direct?: DirectOptions | false;
}

export interface DirectOptions {
  /** 0, the default, lets the kernel choose. */
  readonly port?: number;
  /** UDP_SEGMENT and UDP_GRO; on by default, and off where the self-test finds that the kernel does not do them. */
  readonly gso?: boolean;
  readonly gro?: boolean;
  /** Size of each socket buffer in bytes. */
  readonly bufferBytes?: number;
}

/** 20 ms at 400 Mbit/s, which rides out a busy event loop without adding a noticeable queue. */
const DEFAULT_RING_BYTES = 2 ** 20;
const MIN_READS_IN_RING = 8;
/** Longest Ethernet frame of a super-frame: 64 KiB of IP packet behind a header and a VLAN tag. */
export const MAX_SUPER_FRAME = 65_535 + ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES;
/** A chunk that deliver takes: no UDP datagram, and no data channel message, is longer. */
export const MAX_CHUNK_BYTES = 65_535;
/** Commands that wait for the egress worker: 256 of the largest, more than a hundred links at once. */
export const COMMAND_RING_BYTES = 2 ** 14;
/** Probes and STUN for the main thread: some hundred at once. */
export const CONTROL_RING_BYTES = 2 ** 18;
/**
 * wireguard-go measured that 7 MiB, rather than the kernel's 208 KiB, end the loss of a fast TCP flow at the receiving socket; it is
 * about 20 ms at 2.5 Gbit/s.
 */
const DEFAULT_SOCKET_BYTES = 7 * 2 ** 20;

/** How the direct carrier is to be, when it was asked for. */
export function wants(options: TapOptions): DirectOptions | undefined {
  return options.direct === false ? undefined : options.direct;
}

/** The direct carrier's socket, when it was asked for. Throws SystemError, EADDRINUSE for instance. */
export function openSocket(options: TapOptions): UdpSocket | undefined {
  const direct = wants(options);
  if (direct === undefined) return undefined;
  return UdpSocket.open({
    port: direct.port ?? 0,
    bufferBytes: direct.bufferBytes ?? DEFAULT_SOCKET_BYTES,
    gro: direct.gro !== false && testUdpOffload().gro,
  });
}

/** Capacity of a ring: as wanted, a power of two, and large enough for some of the longest reads. */
export function ringBytes(wanted: number | undefined, maxRead: number): number {
  const least = Math.max(wanted ?? DEFAULT_RING_BYTES, MIN_READS_IN_RING * maxRead);
  return 2 ** Math.ceil(Math.log2(least));
}
