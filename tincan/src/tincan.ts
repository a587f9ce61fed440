import { randomBytes } from 'node:crypto';
import { ConfigError, type Logger, monotonicMs, PeerError } from '@kith/base';
import {
  type ApiAuth,
  type ApiCall,
  type ApiReply,
  type Endpoint,
  type IccType,
  readApiPacket,
  readIcc,
  type Uid,
} from '@kith/protocol';
import { ipBytes } from './address-bytes.ts';
import { Callback, type Notifier } from './callback.ts';
import { openDirectNode } from './direct/open-direct-node.ts';
import { IgnoredInterfaces } from './ignored-interfaces.ts';
import type { Link } from './link.ts';
import { LinkDesk } from './link-desk.ts';
import { LinkTable } from './link-table.ts';
import type { LocalNode } from './link-types.ts';
import { Members } from './members.ts';
import { type NetworkWatch, watchNetwork } from './network-watch.ts';
import { Overlay, type OverlayOptions } from './overlay.ts';
import { PathHistories } from './path-histories.ts';
import { PeerAddresses } from './peer-addresses.ts';
import { StreamRelays } from './relay/stream-relays.ts';
import { Relay } from './relay.ts';
import { stateReplies } from './state-replies.ts';
import { isTunnelAddress } from './tunnel-interfaces.ts';
import { Uplink } from './uplink.ts';

export interface TincanOptions extends OverlayOptions {
  portRange: readonly [number, number] | undefined;
  version: string;
  /** PEM of an authority that may vouch for TURN servers over TLS besides those that Node.js knows. */
  relayCa: string | undefined;
  /** Who may call, for the state. */
  auth: ApiAuth;
  log: Logger;
  /** Sends notifications to the callback endpoint. */
  notifier: Notifier;
  /** Counters of other parts of the process, to be told with ours. */
  counters: () => Record<string, number>;
  /** The TAP device failed for good; the process has to end. */
  fatal: (error: Error) => void;
}

type Parameters<M extends ApiCall['m']> = Extract<ApiCall, { m: M }>['params'];

/** Links, TAP device and the calls on them. Main thread only. */
export class Tincan {
  readonly #options: TincanOptions;
  readonly #log: Logger;
  readonly #overlay: Overlay;
  readonly #links = new LinkTable();
  readonly #members = new Members();
  readonly #peers: PeerAddresses;
  readonly #ignored = new IgnoredInterfaces();
  readonly #callback: Callback;
  readonly #relay: Relay;
  readonly #streamRelays: StreamRelays;
  readonly #histories = new PathHistories();
  readonly #desk: LinkDesk;
  readonly #instance = randomBytes(8).toString('hex');
  readonly #uplink: Uplink;
  #network: NetworkWatch | undefined;
  #node: LocalNode;

  constructor(options: TincanOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#callback = new Callback(options.notifier);
    const isDirect = (slot: number): boolean => this.#overlay.tap?.direct?.carries(slot) === true;
    const { uid: me } = options.identity;
    this.#uplink = new Uplink(me, this.#links, this.#members, this.#callback, isDirect);
    this.#overlay = new Overlay(options, {
      uplink: this.#uplink.frame,
      orphan: (uid, data, offset, length) => this.#uplink.orphan(uid, data, offset, length),
      wanted: (uid) => this.#callback.notify({ type: 'link_wanted', uid }),
      failed: (error) => options.fatal(error),
    });
    this.#peers = new PeerAddresses(me, this.#overlay, this.#members, this.#log);
    this.#relay = new Relay(me, (uid) => this.#onlineLink(uid), {
      message: (uid, m, data) => this.#callback.notify({ type: 'peer_message', uid, m, data }),
      icc: (type, packet) => this.#callback.icc(type, packet),
    });
    this.#streamRelays = new StreamRelays({
      ca: options.relayCa,
      log: options.log,
      clock: monotonicMs,
    });
    this.#desk = new LinkDesk({
      ...{ log: options.log, portRange: options.portRange, links: this.#links, overlay: this.#overlay },
      ...{ peers: this.#peers, uplink: this.#uplink, relay: this.#relay, streamRelays: this.#streamRelays },
      ...{ histories: this.#histories, callback: this.#callback },
      node: () => this.#node,
    });
    this.#node = {
      identity: options.identity,
      ip4: null,
      ip6: null,
      direct: undefined,
      layer: () => this.#overlay.layer,
      isExcluded: (ip) =>
        this.#overlay.leadsInside(ip) || this.#ignored.hasAddress(ip) || isTunnelAddress(ip),
    };
  }

  /** Does one API call. What it throws is the call's error reply. */
  async call(call: ApiCall, caller: Endpoint): Promise<ApiReply[]> {
    const id = call.id === undefined ? {} : { id: call.id };
    switch (call.m) {
      case 'get_state':
        return this.#state(call.params, caller).map((reply) => ({ ...reply, ...id }));
      case 'get_path_events': {
        const { uid } = call.params;
        return [{ type: 'path_events', uid, events: this.#histories.told(uid, monotonicMs()), ...id }];
      }
      case 'echo_request':
        return [{ type: 'echo_request', msg: call.params.msg, ...id }];
      case 'echo_reply':
        return [];
      case 'pass_through':
        this.#relay.sendMessage(call.params.uid, call.params.name, call.params.data, monotonicMs());
        break;
      default:
        await this.#change(call, caller);
    }
    // IPOP's callers send no id and expect no acknowledgement.
    const m = call.m === 'pass_through' ? call.params.name : call.m;
    return call.id === undefined ? [] : [{ type: 'ok', id: call.id, m }];
  }

  /** Takes a frame for the TAP device, a payload of type 2. @throws PeerError API_PACKET, ConfigError NOT_READY. */
  packet(payload: Uint8Array): void {
    const { frame } = readApiPacket(payload);
    this.#overlay.inject(frame);
  }

  /** Sends a payload of type 3 or 4 to the controller of the node that it names. @throws what Relay.sendIcc throws. */
  icc(type: IccType, payload: Uint8Array): void {
    this.#relay.sendIcc(type, readIcc(type, payload), monotonicMs());
  }

  /** What the controller said of one UID holds for another from now on: it learned that they are one node, or not any more. */
  rename(from: Uid, to: Uid): void {
    for (const link of this.#links.of(from)) link.close('the controller has another node under this name');
    const member = this.#members.get(from);
    if (member === undefined || to === this.#options.identity.uid) return;
    this.#peers.removeMember(from);
    this.#peers.setMember({ ...member, uid: to, ip4_translated: member.isTranslated });
  }

  async close(): Promise<void> {
    this.#network?.close();
    this.#desk.close('tincan ends');
    this.#node.direct?.close();
    await this.#overlay.close();
  }

  async #change(
    call: Exclude<
      ApiCall,
      { m: 'get_state' | 'get_path_events' | 'echo_request' | 'echo_reply' | 'pass_through' }
    >,
    caller: Endpoint,
  ): Promise<void> {
    switch (call.m) {
      case 'set_cb_endpoint':
        this.#callback.set(call.params, caller);
        // Another controller knows nothing of them, and its own numbers could meet theirs.
        for (const link of [...this.#links.successors()]) link.close('begun by an earlier controller');
        return;
      case 'set_local_ip':
        return await this.#setLocalIp(call.params);
      case 'create_link':
        if (this.#overlay.tap === undefined)
          throw new ConfigError('NOT_READY', 'set_local_ip must come before create_link');
        return await this.#desk.create(call.params);
      case 'trim_link':
        return this.#desk.trim(call.params);
      case 'set_remote_ip':
        return this.#peers.setRemoteIp(call.params, this.#onlineLink(call.params.uid));
      case 'set_member':
        return this.#peers.setMember(call.params);
      case 'remove_member':
        return this.#peers.removeMember(call.params.uid);
      case 'set_network_mode':
        return this.#overlay.setMode({ layer: call.params.layer, onDemand: call.params.on_demand });
      case 'set_kept_addresses':
        return this.#overlay.setMode({ kept: call.params.ip4.map(ipBytes) });
      case 'set_mapped_address':
        return this.#setMappedAddress(call.params);
      case 'set_switchmode':
        return this.#overlay.setMode({ layer: call.params.switchmode ? 2 : 3 });
      case 'set_translation':
        this.#peers.translates = call.params.translate ?? call.params.translation ?? false;
        return;
      case 'set_logging':
        // IPOP: 0 none, 1 errors, 2 info, 3 verbose.
        this.#log.level = (['silent', 'error', 'info', 'debug'] as const)[call.params.logging] ?? 'info';
        return;
      case 'set_network_ignore_list':
        return this.#ignored.set(call.params.network_ignore_list);
      case 'set_trimpolicy':
        // IPOP closes further connections of a link beside its best one. Ours never have any.
        return;
      case 'register_svc':
        // WALL 2 of the design: what has to do with XMPP stays out of the privileged process.
        throw new PeerError('XMPP_ELSEWHERE', 'tincan speaks no XMPP; the controller signals by itself', {
          field: 'm',
        });
    }
  }

  async #setLocalIp(parameters: Parameters<'set_local_ip'>): Promise<void> {
    const outcome = await this.#overlay.setLocalIp(parameters);
    const { tap, ip4, ip6 } = this.#overlay;
    if (outcome === 'opened') {
      const direct = openDirectNode({
        ...{ port: tap?.direct, me: this.#options.identity.uid, ownInterface: this.#options.interface },
        isIgnored: (name) => this.#ignored.has(name),
        isInside: (ip) => this.#overlay.leadsInside(ip),
        ...{ streams: this.#streamRelays, log: this.#log },
      });
      this.#node = { ...this.#node, direct };
      this.#peers.tellAll();
      this.#desk.start();
      this.#network = watchNetwork({
        log: this.#log,
        isIgnored: (name) => name === this.#options.interface || this.#ignored.has(name),
        whenReadable: (fd, handler) => tap?.whenReadable(fd, handler),
        news: () => this.#overlay.forgetRoutes(),
        changed: () => this.#networkChanged(),
      });
    }
    this.#node = { ...this.#node, ip4, ip6 };
    if (parameters.switchmode !== undefined) this.#overlay.setMode({ layer: parameters.switchmode ? 2 : 3 });
    if (outcome === 'changed') {
      // The peers learned the old addresses from our hello.
      for (const link of this.#desk.every()) link.close('the overlay address of this node changed');
    }
  }

  #setMappedAddress({ mapped }: Parameters<'set_mapped_address'>): void {
    this.#node.direct?.setRouterMapping(mapped === null ? null : { ip: mapped.ip4, port: mapped.port });
  }

  #onlineLink(uid: Uid): Link | undefined {
    const link = this.#links.get(uid);
    return link?.state === 'online' ? link : undefined;
  }

  #networkChanged(): void {
    this.#log.info('the network of this machine changed');
    this.#callback.notify({ type: 'network_changed' });
    this.#node.direct?.networkChanged();
    this.#desk.networkChanged();
  }

  #state({ uid, stats }: Parameters<'get_state'>, { form }: Endpoint): ApiReply[] {
    const isAsked = (entry: { uid: Uid }): boolean => uid === '' || entry.uid === uid;
    const { identity, version, interface: name, mtu, auth } = this.#options;
    return stateReplies(
      {
        identity,
        ip4: this.#node.ip4,
        ip6: this.#node.ip6,
        instance: this.#instance,
        version,
        interface: name,
        mtu,
        tapIsUp: this.#overlay.tap !== undefined,
        directPort: this.#node.direct?.port ?? null,
        network: this.#node.direct?.network() ?? null,
        auth,
        counters: {
          ...this.#desk.counters,
          ...this.#uplink.counters,
          ...this.#relay.counters,
          ...this.#streamRelays.counters,
          ...this.#options.counters(),
          ...{ ...this.#overlay.tap?.counters(), ...this.#overlay.counters },
          ...this.#node.direct?.counters,
          members: this.#members.size,
        },
      },
      [...this.#links.all()].filter(isAsked),
      [...this.#members.all()].filter(isAsked),
      form,
      stats,
      monotonicMs(),
    );
  }
}
