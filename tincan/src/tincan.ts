import { randomBytes } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { ConfigError, describeError, type Logger, PeerError, SystemError, Timers } from '@kith/base';
import type { TincanStart } from '@kith/config';
import {
  type ApiCall,
  type ApiReply,
  formatMac,
  type Hello,
  macOfUid,
  parseCandidates,
  type Uid,
  uidOfFingerprint,
} from '@kith/protocol';
import { type Ip4Setting, LINK_ALL, Tap, type TapOptions } from '@kith/tap';
import { ipBytes } from './address-bytes.ts';
import type { Endpoint } from './api-server.ts';
import { openDirectNode } from './direct/open-direct-node.ts';
import { iceServersOf } from './ice-servers.ts';
import type { Identity } from './identity.ts';
import { Link } from './link.ts';
import { LinkTable } from './link-table.ts';
import type { LinkParameters, LocalNode } from './link-types.ts';

/** How often links look at the clock; pings are due each second and death is noticed within this much. */
const TICK_MS = 250;

export interface TincanOptions {
  identity: Identity;
  interface: string;
  mtu: number;
  portRange: readonly [number, number] | undefined;
  /** Switches of the direct carrier and of super-frames; undefined: all on. */
  direct: TincanStart['direct'] | undefined;
  offload: TincanStart['tap'] | undefined;
  version: string;
  log: Logger;
  /** Sends a notification to the callback endpoint. */
  notify: (to: Endpoint, message: ApiReply) => void;
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
  readonly #links = new LinkTable();
  readonly #timers = new Timers();
  readonly #instance = randomBytes(8).toString('hex');
  readonly #dirty = new Set<Link>();
  #callback: Endpoint | undefined;
  #node: LocalNode;
  #ip4PrefixLength = 24;
  #tap: Tap | undefined;
  readonly counters = { dropped_no_link: 0, links_opened: 0, links_closed: 0 };

  constructor(options: TincanOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#node = {
      identity: options.identity,
      ip4: null,
      ip6: null,
      direct: undefined,
    };
  }

  /** Does one API call. What it throws is the call's error reply. */
  async handle(call: ApiCall, caller: Endpoint): Promise<ApiReply[]> {
    const id = call.id === undefined ? {} : { id: call.id };
    switch (call.m) {
      case 'set_cb_endpoint':
        this.#setCallback(call.params, caller);
        break;
      case 'set_local_ip':
        await this.#setLocalIp(call.params);
        break;
      case 'create_link':
        this.#createLink(call.params);
        break;
      case 'trim_link':
        this.#links.get(call.params.uid)?.close(call.params.reason ?? 'trimmed by the controller');
        break;
      case 'set_remote_ip':
        this.#setRemoteIp(call.params);
        break;
      case 'get_state':
        return this.#state(call.params).map((reply) => ({ ...reply, ...id }));
      case 'set_logging':
        // IPOP: 0 none, 1 errors, 2 info, 3 verbose.
        this.#log.level = (['silent', 'error', 'info', 'debug'] as const)[call.params.logging] ?? 'info';
        break;
      case 'set_switchmode':
        if (!call.params.switchmode) {
          throw new ConfigError('SWITCH_MODE_ONLY', 'this version runs as a switch only', {
            field: 'switchmode',
          });
        }
        break;
      case 'echo_request':
        return [{ type: 'echo_request', msg: call.params.msg, ...id }];
      case 'echo_reply':
        return [];
    }
    // IPOP's callers send no id and expect no acknowledgement.
    return call.id === undefined ? [] : [{ type: 'ok', id: call.id, m: call.m }];
  }

  async close(): Promise<void> {
    this.#timers.clearAll();
    for (const link of [...this.#links.all()]) link.close('tincan ends');
    this.#node.direct?.close();
    await this.#tap?.close();
    this.#tap = undefined;
  }

  #setCallback({ ip, port }: Parameters<'set_cb_endpoint'>, caller: Endpoint): void {
    // IPOP: "::" means "where this call came from". Elsewhere than loopback nobody may listen to us.
    const address = ip === '::' || ip === '0.0.0.0' ? caller.address : ip;
    if (!isIPv4(address) || !address.startsWith('127.')) {
      throw new ConfigError('API_FIELD', 'ip: must be a loopback address', { field: 'ip' });
    }
    this.#callback = { address, port };
  }

  async #setLocalIp({ uid, ip4, ip4_mask }: Parameters<'set_local_ip'>): Promise<void> {
    const mine = this.#options.identity.uid;
    if (uid !== undefined && uid !== mine) {
      throw new ConfigError('UID_NOT_OURS', `uid: this node's certificate proves ${mine}`, { field: 'uid' });
    }
    const address = ip4 === undefined ? null : { address: ip4, prefixLength: ip4_mask };
    if (this.#tap === undefined) {
      const tap = await this.#openTap(address);
      tap.onUplink((slot, data, offset, length) => this.#uplink(slot, data, offset, length));
      tap.onFailure((error) => this.#options.fatal(error));
      this.#tap = tap;
      const direct = openDirectNode({
        port: tap.direct,
        me: mine,
        ownInterface: this.#options.interface,
        overlay: () => ({ ip4: this.#node.ip4, prefixLength: this.#ip4PrefixLength }),
        log: this.#log,
      });
      this.#node = { ...this.#node, direct };
      this.#timers.every('links', TICK_MS, () => this.#tick());
    } else if (address !== null && (ip4 !== this.#node.ip4 || ip4_mask !== this.#ip4PrefixLength)) {
      await this.#tap.setAddress(address);
      // The peers learned the old address from our hello.
      for (const link of [...this.#links.all()]) link.close('the overlay address of this node changed');
    }
    this.#node = { ...this.#node, ip4: ip4 ?? null };
    this.#ip4PrefixLength = ip4_mask;
  }

  async #openTap(address: Ip4Setting | null): Promise<Tap> {
    const { identity, mtu, direct, offload } = this.#options;
    const options: TapOptions = {
      name: this.#options.interface,
      mac: identity.mac,
      mtu,
      ...(address === null ? {} : { ip4: address }),
      ...(offload === undefined ? {} : { offload }),
    };
    if (direct?.enabled === false) return Tap.open(options);
    try {
      return await Tap.open({ ...options, direct: direct ?? {} });
    } catch (error) {
      // A taken port or a kernel that lacks something must not cost the network; what is wrong with TAP itself, the next line meets.
      if (!(error instanceof SystemError) || error.code.startsWith('TAP_')) throw error;
      this.#log.warn({ err: error }, `no direct carrier: ${describeError(error)}`);
      return Tap.open(options);
    }
  }

  #createLink(parameters: Parameters<'create_link'>): void {
    const { uid, fpr, cas } = parameters;
    if (this.#tap === undefined)
      throw new ConfigError('NOT_READY', 'set_local_ip must come before create_link');
    if (uid === this.#options.identity.uid)
      throw new PeerError('UID_OURS', 'uid: is this node', { field: 'uid' });
    if (fpr !== '' && uidOfFingerprint(fpr) !== uid) {
      throw new PeerError('UID_NOT_PROVED', 'uid: does not follow from fpr', { field: 'uid' });
    }
    const candidates = parseCandidates(cas);
    if (fpr === '' && candidates.length > 0) {
      throw new ConfigError('API_FIELD', 'fpr: is needed together with cas', { field: 'fpr' });
    }
    const first = candidates[0];
    let link = this.#links.get(uid);
    const attempt = parameters.attempt ?? link?.attempt ?? 1;
    if (link !== undefined && attempt < link.attempt) {
      throw new PeerError('ATTEMPT_STALE', `attempt: the link is at attempt ${link.attempt}`, {
        field: 'attempt',
      });
    }
    if (link !== undefined && attempt > link.attempt) {
      if (link.isBound) {
        link.close('replaced by a new attempt');
        link = undefined;
      } else {
        link.renumber(attempt);
      }
    }
    if (link?.isBound && first !== undefined && !link.isBoundTo(first)) {
      throw new PeerError('ATTEMPT_TAKEN', 'cas: attempt is bound to another session of the peer', {
        field: 'cas',
      });
    }
    if (link === undefined) {
      link = this.#openLink({
        uid,
        attempt,
        encrypted: parameters.sec,
        security: parameters.security,
        iceServers: iceServersOf(parameters),
      });
    } else {
      link.setSecurity(parameters.sec, parameters.security);
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
      this.#links.freeSlot(),
      this.#node,
      parameters,
      this.#options.portRange,
      this.#log,
      {
        candidates: (of, complete) => this.#notifyCandidates(of, complete),
        online: (of, hello) => this.#online(of, hello),
        closed: (of, reason) => this.#closed(of, reason),
        chunk: (of, data, offset, length) => this.#tap?.deliver(of.slot, data, offset, length),
      },
      performance.now(),
    );
    this.#links.add(link);
    this.counters.links_opened++;
    return link;
  }

  #setRemoteIp({ uid, ip4, ip6 }: Parameters<'set_remote_ip'>): void {
    const link = this.#links.get(uid);
    if (link === undefined)
      throw new PeerError('LINK_UNKNOWN', 'uid: there is no such link', { field: 'uid' });
    // IPOP's marker for "switch mode: index by uid only".
    if (ip4 === '127.0.0.1') return;
    if (ip4 !== undefined) this.#claim(link, 'ip4', ip4);
    if (ip6 !== undefined) this.#claim(link, 'ip6', ip6);
  }

  #online(link: Link, hello: Hello): void {
    this.#tap?.bind(link.slot, 'mac', macOfUid(link.uid));
    if (hello.ip4 !== null) this.#claim(link, 'ip4', hello.ip4);
    if (hello.ip6 !== null) this.#claim(link, 'ip6', hello.ip6);
    this.#notify({ type: 'con_stat', uid: link.uid, data: 'online', attempt: link.attempt });
    this.#log.info({ peer: link.uid, attempt: link.attempt }, 'link online');
  }

  /** Gives an overlay address to a link, unless it is ours or another link's: the first claim stands. */
  #claim(link: Link, kind: 'ip4' | 'ip6', address: string): void {
    const holder =
      address === this.#node[kind]
        ? 'this node'
        : [...this.#links.all()].find((other) => other !== link && other.hello?.[kind] === address)?.uid;
    if (holder !== undefined) {
      link.note = `its address ${address} is already that of ${holder}; frames from it are dropped`;
      this.#log.warn({ peer: link.uid }, link.note);
      return;
    }
    this.#tap?.bind(link.slot, kind, ipBytes(address));
  }

  #closed(link: Link, reason: string): void {
    this.#links.remove(link);
    this.#dirty.delete(link);
    this.#tap?.unbindLink(link.slot);
    this.counters.links_closed++;
    this.#notify({ type: 'con_stat', uid: link.uid, data: 'offline', attempt: link.attempt, reason });
    this.#log.info({ peer: link.uid, attempt: link.attempt, reason }, 'link closed');
  }

  #notifyCandidates(link: Link, complete: boolean): void {
    const data = `${this.#options.identity.fingerprint} ${link.localCandidates()}`.trimEnd();
    this.#notify({ type: 'con_resp', uid: link.uid, data, attempt: link.attempt, complete });
  }

  #notify(message: ApiReply): void {
    if (this.#callback !== undefined) this.#options.notify(this.#callback, message);
  }

  /** What one read of the TAP device gave, for a link without a direct path. The bytes are valid only now. */
  #uplink(slot: number, data: Uint8Array, offset: number, length: number): void {
    if (slot === LINK_ALL) {
      for (const link of this.#links.all()) {
        // The egress worker sends to these by itself.
        if (this.#tap?.direct?.carries(link.slot) !== true) this.#enqueue(link, data, offset, length);
      }
      return;
    }
    const link = this.#links.bySlot(slot);
    if (link === undefined) this.counters.dropped_no_link++;
    else this.#enqueue(link, data, offset, length);
  }

  #enqueue(link: Link, data: Uint8Array, offset: number, length: number): void {
    if (link.state !== 'online') {
      this.counters.dropped_no_link++;
      return;
    }
    link.enqueue(data, offset, length);
    // One flush after the whole drain, so that frames which came together leave together.
    if (this.#dirty.size === 0) queueMicrotask(this.#flushDirty);
    this.#dirty.add(link);
  }

  readonly #flushDirty = (): void => {
    for (const link of this.#dirty) {
      try {
        link.flush();
      } catch (error) {
        link.close(`sending failed: ${describeError(error)}`);
      }
    }
    this.#dirty.clear();
  };

  #tick(): void {
    const now = performance.now();
    for (const link of [...this.#links.all()]) link.tick(now);
  }

  #state({ uid, stats }: Parameters<'get_state'>): ApiReply[] {
    const now = performance.now();
    const links =
      uid === '' ? [...this.#links.all()] : [this.#links.get(uid)].filter((link) => link !== undefined);
    const { identity } = this.#options;
    return [
      {
        type: 'local_state',
        _uid: identity.uid,
        _ip4: this.#node.ip4 ?? '',
        _ip6: this.#node.ip6 ?? '',
        _fpr: identity.fingerprint,
        _mac: formatMac(identity.mac),
        instance: this.#instance,
        version: this.#options.version,
        interface: this.#options.interface,
        mtu: this.#options.mtu,
        tap: this.#tap === undefined ? 'down' : 'up',
        peers: links.length,
        counters: {
          ...this.counters,
          ...this.#options.counters(),
          ...this.#tap?.counters(),
          ...this.#node.direct?.counters,
        },
      },
      ...links.map((link) => link.peerState(now, stats)),
    ];
  }

  /** For tests and shutdown. */
  linkOf(uid: Uid): Link | undefined {
    return this.#links.get(uid);
  }
}
