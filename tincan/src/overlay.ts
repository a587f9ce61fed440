import { ConfigError, describeError, type Logger, PeerError, SystemError } from '@kith/base';
import type { TincanStart } from '@kith/config';
import { type ApiCall, macOfUid, type Translation, type Uid } from '@kith/protocol';
import {
  type Ip4Setting,
  type LinkTranslation,
  type NetworkMode,
  type OrphanHandler,
  Tap,
  type TapOptions,
  type UplinkHandler,
  type WantedHandler,
} from '@kith/tap';
import { ipBytes } from './address-bytes.ts';
import type { Identity } from './identity.ts';
import { InsideRoutes } from './inside-routes.ts';
import type { NetworkMember } from './members.ts';
import { isInOverlay } from './overlay-range.ts';

export interface OverlayOptions {
  identity: Identity;
  interface: string;
  mtu: number;
  /** Switches of the direct carrier and of super-frames; undefined: all on. */
  direct: TincanStart['direct'] | undefined;
  tapSettings: TincanStart['tap'] | undefined;
  log: Logger;
}

export interface OverlayEvents {
  uplink: UplinkHandler;
  /** A frame for a member without a link waits. */
  wanted: WantedHandler;
  /** May take a frame for a member without a link; false: it is to wait. */
  orphan: OrphanHandler;
  /** The TAP device failed for good; the process has to end. */
  failed: (error: Error) => void;
}

/** An Ethernet header with a VLAN tag. */
const LONGEST_HEADER_BYTES = 18;

/** The overlay addresses of a link; null: it has none, or not this one. */
export interface OverlayBinding {
  ip4: string | null;
  ip6: string | null;
  translation: Translation | undefined;
  /** How the peer handles frames; undefined: it has not said. */
  layer: 2 | 3 | undefined;
}

type LocalIp = Extract<ApiCall, { m: 'set_local_ip' }>['params'];

/** This node's end of the overlay: the TAP device and its addresses. There is none until the first set_local_ip. */
export class Overlay {
  readonly #options: OverlayOptions;
  readonly #events: OverlayEvents;
  readonly #routes: InsideRoutes;
  #tap: Tap | undefined;
  #ip4: Ip4Setting | null = null;
  #ip6: { address: string; prefixLength: number } | null = null;
  #mode: NetworkMode = { layer: 2, onDemand: false, kept: [] };

  constructor(options: OverlayOptions, events: OverlayEvents) {
    this.#options = options;
    this.#events = events;
    this.#routes = new InsideRoutes(options.interface, options.log);
  }

  get tap(): Tap | undefined {
    return this.#tap;
  }

  get ip4(): string | null {
    return this.#ip4?.address ?? null;
  }

  get ip6(): string | null {
    return this.#ip6?.address ?? null;
  }

  get prefixLength(): number {
    return this.#ip4?.prefixLength ?? 32;
  }

  get prefixLength6(): number {
    return this.#ip6?.prefixLength ?? 128;
  }

  /** How frames are handled now. */
  get layer(): 2 | 3 {
    return this.#mode.layer;
  }

  /** Whether an address is of this network, or the machine's routes to it lead through its card: no link may run over one. */
  leadsInside(ip: string): boolean {
    return isInOverlay(ip, this) || (this.#tap !== undefined && this.#routes.lead(ip));
  }

  /** The machine's routes may be others from now on. */
  forgetRoutes(): void {
    this.#routes.forget();
  }

  /** Addresses that were refused, as `leadsInside` says. */
  get counters(): Record<string, number> {
    return this.#routes.counters;
  }

  /**
   * Opens the TAP device, or gives it other addresses; an address that is left out stays. Says what changed for the peers.
   * @throws ConfigError UID_NOT_OURS, or what Tap.open and Tap.setAddress throw.
   */
  async setLocalIp({ uid, ip4, ip4_mask, ip6, ip6_mask }: LocalIp): Promise<'opened' | 'changed' | 'same'> {
    const mine = this.#options.identity.uid;
    if (uid !== undefined && uid !== mine) {
      throw new ConfigError('UID_NOT_OURS', `uid: this node's certificate proves ${mine}`, { field: 'uid' });
    }
    const wanted = ip4 === undefined ? null : { address: ip4, prefixLength: ip4_mask };
    const isNew = this.#tap === undefined;
    const tap = this.#tap ?? (await this.#begin(wanted));
    const hasNewIp4 = wanted !== null && (ip4 !== this.ip4 || ip4_mask !== this.prefixLength);
    if (hasNewIp4 && !isNew) await tap.setAddress(wanted);
    if (wanted !== null) this.#ip4 = wanted;
    const hasNewIp6 = ip6 !== undefined && (await this.#setIp6(tap, ip6, ip6_mask));
    return isNew ? 'opened' : hasNewIp4 || hasNewIp6 ? 'changed' : 'same';
  }

  /** What is left out stays as it was. Holds for a TAP device that is opened later, too. */
  setMode(change: Partial<NetworkMode>): void {
    this.#mode = { ...this.#mode, ...change };
    this.#tap?.setMode(this.#mode);
  }

  /** Tells the TAP device, if there is one, of a member. */
  setMember({ uid, ip4, ip6 }: NetworkMember): void {
    this.#tap?.setMember({ uid, mac: macOfUid(uid), ip4: bytesOrNull(ip4), ip6: bytesOrNull(ip6) });
  }

  removeMember(uid: Uid): void {
    this.#tap?.removeMember(uid);
  }

  /** Lets frames of a link in, from the addresses that are its own. */
  bindLink(slot: number, uid: Uid, { ip4, ip6, translation, layer }: OverlayBinding): void {
    this.#tap?.bindLink(slot, {
      mac: macOfUid(uid),
      ip4: bytesOrNull(ip4),
      ip6: bytesOrNull(ip6),
      ...(translation === undefined ? {} : { translation: translationBytes(translation) }),
      isLayer3: layer === 3,
    });
  }

  /**
   * Hands a frame to this node's kernel.
   * @throws ConfigError NOT_READY before the first setLocalIp, PeerError API_PACKET for one that exceeds the MTU.
   */
  inject(frame: Uint8Array): void {
    const { mtu } = this.#options;
    if (this.#tap === undefined) throw new ConfigError('NOT_READY', 'set_local_ip must come first');
    if (frame.length > mtu + LONGEST_HEADER_BYTES) {
      throw new PeerError('API_PACKET', `frame: exceeds the MTU of ${mtu}`, { field: 'frame' });
    }
    this.#tap.inject(frame, 0, frame.length);
  }

  async close(): Promise<void> {
    await this.#tap?.close();
    this.#tap = undefined;
  }

  async #begin(ip4: Ip4Setting | null): Promise<Tap> {
    const tap = await this.#open(ip4);
    tap.onUplink(this.#events.uplink);
    tap.onWanted(this.#events.wanted);
    tap.onOrphan(this.#events.orphan);
    tap.onFailure((error) => this.#events.failed(error));
    tap.setMode(this.#mode);
    this.#tap = tap;
    if (tap.acceptsRouters) {
      const setting = `/proc/sys/net/ipv6/conf/${tap.name}/accept_ra`;
      this.#options.log.warn(
        `any member can become this machine's IPv6 router: ${setting} could not be set to 0`,
      );
    }
    return tap;
  }

  /** Whether the peers have to hear of another address. */
  async #setIp6(tap: Tap, address: string, prefixLength: number): Promise<boolean> {
    if (address === this.ip6 && prefixLength === this.#ip6?.prefixLength) return false;
    try {
      await tap.setAddress6({ address: ipBytes(address), prefixLength });
      this.#ip6 = { address, prefixLength };
      return true;
    } catch (error) {
      // A machine without IPv6 is still a good node.
      if (!(error instanceof SystemError)) throw error;
      this.#options.log.warn({ err: error }, `no IPv6 address in the network: ${describeError(error)}`);
      const had = this.#ip6 !== null;
      this.#ip6 = null;
      return had;
    }
  }

  async #open(address: Ip4Setting | null): Promise<Tap> {
    const { identity, mtu, direct, tapSettings } = this.#options;
    const options: TapOptions = {
      name: this.#options.interface,
      mac: identity.mac,
      mtu,
      ...(address === null ? {} : { ip4: address }),
      ...(tapSettings === undefined ? {} : { offload: tapSettings, workers: tapSettings.workers }),
    };
    if (direct?.enabled === false) return Tap.open(options);
    try {
      return await Tap.open({ ...options, direct: direct ?? {} });
    } catch (error) {
      // A taken port or a kernel that lacks something must not cost the network; what is wrong with TAP itself, the next line meets.
      if (!(error instanceof SystemError) || error.code.startsWith('TAP_')) throw error;
      this.#options.log.warn({ err: error }, `no direct carrier: ${describeError(error)}`);
      return Tap.open(options);
    }
  }
}

function bytesOrNull(ip: string | null): Uint8Array | null {
  return ip === null ? null : ipBytes(ip);
}

function translationBytes(translation: Translation): LinkTranslation {
  const { remote_ip4, mapped_ip4, local_ip4, local_mapped_ip4 } = translation;
  return {
    remote: ipBytes(remote_ip4),
    source: ipBytes(mapped_ip4),
    destination: ipBytes(local_ip4),
    ...(local_mapped_ip4 === undefined ? {} : { localMapped: ipBytes(local_mapped_ip4) }),
  };
}
