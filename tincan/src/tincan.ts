import { randomBytes } from 'node:crypto';
import { ConfigError, type Logger, PeerError, Timers } from '@kith/base';
import {
  type ApiAuth,
  type ApiCall,
  type ApiReply,
  type Endpoint,
  type Hello,
  type IccType,
  readApiPacket,
  readIcc,
  type Uid,
} from '@kith/protocol';
import { ipBytes } from './address-bytes.ts';
import { Callback, type Notifier } from './callback.ts';
import { CHANGED_SUSPECT_AFTER_MS } from './channel/liveness.ts';
import { type CreateLink, carryOn, readDescription, securityOf } from './create-link.ts';
import { openDirectNode } from './direct/open-direct-node.ts';
import { iceServersFor, iceServersOf } from './ice-servers.ts';
import { IgnoredInterfaces } from './ignored-interfaces.ts';
import { Link } from './link.ts';
import { LinkTable } from './link-table.ts';
import type { LinkParameters, LocalNode } from './link-types.ts';
import { Members } from './members.ts';
import { type NetworkWatch, watchNetwork } from './network-watch.ts';
import { Overlay, type OverlayOptions } from './overlay.ts';
import { PathHistories } from './path-histories.ts';
import { PeerAddresses } from './peer-addresses.ts';
import { LinkRelay } from './relay/link-relay.ts';
import { StreamRelays } from './relay/stream-relays.ts';
import { Relay } from './relay.ts';
import { stateReplies } from './state-replies.ts';
import { isTunnelAddress } from './tunnel-interfaces.ts';
import { Uplink } from './uplink.ts';

/** How often links look at the clock; pings are due each second and death is noticed within this much. */
const TICK_MS = 250;
/**
 * The same while all links are calm, at whole seconds of the clock as all that idle links do (CALM_GRID_MS of path-finder.ts): to be woken
 * costs more than what is done then.
 */
const CALM_TICK_MS = 1_000;

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
  readonly #timers = new Timers();
  readonly #instance = randomBytes(8).toString('hex');
  readonly #uplink: Uplink;
  #network: NetworkWatch | undefined;
  #node: LocalNode;
  readonly counters = { links_opened: 0, links_closed: 0 };

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
      clock: () => performance.now(),
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
        return [{ type: 'path_events', uid, events: this.#histories.told(uid, performance.now()), ...id }];
      }
      case 'echo_request':
        return [{ type: 'echo_request', msg: call.params.msg, ...id }];
      case 'echo_reply':
        return [];
      case 'pass_through':
        this.#relay.sendMessage(call.params.uid, call.params.name, call.params.data, performance.now());
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
    this.#relay.sendIcc(type, readIcc(type, payload), performance.now());
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
    this.#timers.clearAll();
    this.#network?.close();
    for (const link of this.#everyLink()) link.close('tincan ends');
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
        return await this.#createLink(call.params);
      case 'trim_link':
        return this.#trimLink(call.params);
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
      this.#tickOn();
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
      for (const link of this.#everyLink()) link.close('the overlay address of this node changed');
    }
  }

  async #createLink(parameters: CreateLink): Promise<void> {
    if (this.#overlay.tap === undefined)
      throw new ConfigError('NOT_READY', 'set_local_ip must come before create_link');
    const { uid, fpr, sec, accounts, translation } = parameters;
    const candidates = readDescription(parameters, this.#options.identity.uid);
    const first = candidates[0];
    const known = this.#links.newest(uid);
    const attempt = parameters.attempt ?? known?.attempt ?? 1;
    const security = securityOf(parameters);
    let link = carryOn(known, attempt, first);
    if (link === undefined) {
      const iceServers = iceServersOf(parameters);
      this.#node.direct?.setServers(iceServers);
      const relay = await LinkRelay.open(
        this.#streamRelays,
        iceServersFor(iceServers, this.#node.direct?.network()),
      );
      try {
        const rest = { iceServers, relay, accounts, translation, history: this.#histories.of(uid) };
        link = this.#openLink({ uid, attempt, encrypted: sec, security, ...rest });
      } catch (error) {
        relay.close();
        throw error;
      }
    } else {
      link.setTerms({ encrypted: sec, security, accounts, translation });
      // The caller may be a controller that was restarted and knows none of our candidates.
      if (first === undefined) this.#notifyCandidates(link, link.isGathered);
    }
    try {
      link.addRemote(fpr, candidates);
    } catch (cause) {
      link.close('the description of the peer cannot be used');
      throw new PeerError('REMOTE_UNUSABLE', 'the description of the peer cannot be used', {
        field: 'cas',
        cause,
      });
    }
  }

  #openLink(parameters: LinkParameters): Link {
    const link = new Link(
      this.#links.freeSlot(parameters.uid),
      this.#node,
      parameters,
      this.#options.portRange,
      this.#log,
      {
        candidates: (of, complete) => this.#notifyCandidates(of, complete),
        online: (of, hello) => this.#online(of, hello),
        closed: (of, reason) => this.#closed(of, reason),
        suspect: (of, suspect) => {
          this.#log.info({ peer: of.uid, attempt: of.attempt }, suspect ? 'link silent' : 'link heard again');
          this.#callback.notify({ type: 'link_suspect', uid: of.uid, attempt: of.attempt, suspect });
        },
        relayed: (of, message) => this.#relay.receive(of.uid, message, performance.now()),
        chunk: (of, data, offset, length) => this.#overlay.tap?.deliver(of.slot, data, offset, length),
      },
      performance.now(),
    );
    this.#links.add(link);
    this.counters.links_opened++;
    return link;
  }

  #trimLink({ uid, attempt, reason }: Parameters<'trim_link'>): void {
    for (const link of this.#links.of(uid, attempt)) link.close(reason ?? 'trimmed by the controller');
  }

  #setMappedAddress({ mapped }: Parameters<'set_mapped_address'>): void {
    this.#node.direct?.setRouterMapping(mapped === null ? null : { ip: mapped.ip4, port: mapped.port });
  }

  #online(link: Link, hello: Hello): void {
    // What it carried was kept from its successor until now; from here on frames take the new one.
    for (const old of this.#links.of(link.uid)) {
      if (old === link) continue;
      old.close('replaced by a new attempt');
      this.#peers.release(link.uid);
      this.#relay.forget(link.uid);
    }
    this.#peers.bind(link, hello);
    this.#callback.notify({ type: 'con_stat', uid: link.uid, data: 'online', attempt: link.attempt });
    this.#log.info({ peer: link.uid, attempt: link.attempt }, 'link online');
  }

  #closed(link: Link, reason: string): void {
    this.#links.remove(link);
    this.#uplink.forget(link);
    this.#overlay.tap?.unbindLink(link.slot);
    if (this.#onlineLink(link.uid) === undefined) {
      this.#peers.release(link.uid);
      this.#relay.forget(link.uid);
    }
    this.counters.links_closed++;
    this.#callback.notify({
      ...{ type: 'con_stat', uid: link.uid, data: 'offline', attempt: link.attempt, reason },
      ...(link.refusal === undefined ? {} : { code: link.refusal.code }),
    });
    this.#log.info({ peer: link.uid, attempt: link.attempt, reason }, 'link closed');
  }

  #notifyCandidates(link: Link, complete: boolean): void {
    const data = `${this.#options.identity.fingerprint} ${link.localCandidates()}`.trimEnd();
    const network = this.#node.direct?.network();
    this.#callback.notify({
      ...{ type: 'con_resp', uid: link.uid, data, attempt: link.attempt, complete },
      ...(network === undefined ? {} : { network }),
    });
  }

  #onlineLink(uid: Uid): Link | undefined {
    const link = this.#links.get(uid);
    return link?.state === 'online' ? link : undefined;
  }

  #tickOn(): void {
    this.#tick();
    const isCalm = this.#everyLink().every((link) => link.isCalm);
    const wait = isCalm ? CALM_TICK_MS - (performance.now() % CALM_TICK_MS) : TICK_MS;
    this.#timers.after('links', wait, () => this.#tickOn());
  }

  #tick(): void {
    const now = performance.now();
    for (const link of this.#everyLink()) link.tick(now);
  }

  #everyLink(): Link[] {
    return [...this.#links.all(), ...this.#links.successors()];
  }

  #networkChanged(): void {
    this.#log.info('the network of this machine changed');
    this.#callback.notify({ type: 'network_changed' });
    this.#node.direct?.networkChanged();
    const now = performance.now();
    for (const link of this.#everyLink()) link.networkChanged(now);
    // Not at the next tick: who waits for a path feels a quarter of a second.
    this.#timers.after('changed', CHANGED_SUSPECT_AFTER_MS + 1, () => this.#tick());
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
          ...this.counters,
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
      performance.now(),
    );
  }
}
