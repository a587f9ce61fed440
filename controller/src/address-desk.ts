import { describeError, type Logger, monotonicMs, Timers } from '@kith/base';
import type { KithConfig } from '@kith/config';
import { MAX_KEPT_ADDRESSES, type Uid } from '@kith/protocol';
import {
  Addressing,
  type AddressStore,
  type MemberAddress,
  type Remembered,
  type Tenure,
} from './addressing/index.ts';
import { MemberSync } from './member-sync.ts';
import type { PeerTable } from './peer-table.ts';
import type { TincanClient } from './tincan-client.ts';
import type { NodeAnnouncement, XmppSession } from './xmpp/index.ts';

/**
 * How long a node without an address listens before it chooses one: ejabberd answers our presence with everybody's within
 * milliseconds.
 */
const SETTLE_MS = 1_000;

/** How often nodes are looked for that are gone. */
const SWEEP_MS = 5_000;

/** Changes that come within this time are told together: after a sign-in the presences of all members come at once. */
const SYNC_MS = 20;

/** An address that tincan could not set is tried again this often. */
const RETRY_MS = 2_000;

/** What was remembered of addresses, and where more is kept. */
export interface AddressMemory {
  readonly store: AddressStore;
  readonly remembered: Remembered;
}

export interface AddressDeskParts {
  readonly config: Pick<KithConfig, 'network' | 'xmpp'>;
  readonly memory: AddressMemory;
  /** Who held which static address before. */
  readonly tenure: Tenure;
  readonly peers: PeerTable;
  readonly tincan: Pick<TincanClient, 'call'>;
  readonly log: Logger;
  readonly session: () => Pick<XmppSession, 'announce'> | undefined;
  /** Whether tincan is set up. */
  readonly ready: () => boolean;
  /** Ends a link whose address is not any more what it was when the link was made. */
  readonly trim: (uid: Uid, reason: string) => void;
  /** This node's address is settled. */
  readonly settled: () => void;
}

/** Sees to it that tincan and the members know where this node is, and tincan where the members are. */
export class AddressDesk {
  readonly #parts: AddressDeskParts;
  readonly #sync: MemberSync;
  readonly #timers = new Timers();
  #uid: Uid | undefined;
  #addressing: Addressing | undefined;
  /** The kept addresses that tincan knows, as JSON. */
  #keptTold = '[]';
  /** When the hub first told of the other members, monotonic. */
  #listensSince = Number.POSITIVE_INFINITY;

  constructor(parts: AddressDeskParts) {
    this.#parts = parts;
    this.#sync = new MemberSync((method, parameters) => parts.tincan.call(method, parameters), parts.log);
  }

  /** Undefined until tincan has told who we are. */
  get addressing(): Addressing | undefined {
    return this.#addressing;
  }

  start(): void {
    this.#timers.every('sweep', SWEEP_MS, () => this.sync());
  }

  async stop(): Promise<void> {
    this.#timers.clearAll();
    await this.#parts.memory.store.saved();
  }

  /** Sets up a tincan that was just reached, which knows nobody. @throws what its calls throw. */
  async setUp(uid: Uid): Promise<void> {
    const { config, memory, tenure, tincan } = this.#parts;
    this.#uid = uid;
    const save = (news: Remembered) => memory.store.save(news);
    this.#addressing ??= new Addressing(uid, config, memory.remembered, save, tenure);
    this.#sync.reset();
    this.#keptTold = '[]';
    await this.#setLocalIp();
    // Also where links are made at once, a packet may be for a member whose link had to make room for others.
    await tincan.call('set_network_mode', { layer: config.network.layer, on_demand: true });
  }

  /** The roster came, so presences follow: chooses this node's first address soon, where it has none. */
  listen(): void {
    if (this.#listensSince === Number.POSITIVE_INFINITY) {
      this.#listensSince = monotonicMs();
      this.#timers.after('heard', SETTLE_MS, () => this.sync());
    }
    if (this.#addressing === undefined || this.#addressing.isSettled || this.#timers.has('settle')) return;
    this.#timers.after('settle', SETTLE_MS, () => {
      const chosen = this.#addressing?.settle(monotonicMs()) === true;
      void (chosen ? this.#moved() : Promise.resolve()).then(() => {
        this.#parts.settled();
        this.sync();
      });
    });
  }

  /** A node says which address it has. */
  heard(uid: Uid, member: string, { ip4, kind }: NodeAnnouncement): void {
    if (this.#addressing?.heard(uid, member, { ip4, kind }, monotonicMs()) === true) void this.#moved();
    this.sync();
  }

  /** Another node says that it keeps this node's address for a third. */
  refused(ip4: string): void {
    if (this.#addressing?.refused(ip4, monotonicMs()) === true) void this.#moved();
    this.sync();
  }

  forget(uid: Uid): void {
    this.#addressing?.gone(uid);
    this.sync();
  }

  /** Tells the members where this node is. */
  announce(): void {
    if (this.#addressing !== undefined) this.#parts.session()?.announce(this.#addressing.announcement);
  }

  /** Tells tincan soon which nodes there are and where. To be called after each change. */
  sync(): void {
    if (!this.#timers.has('sync')) this.#timers.after('sync', SYNC_MS, () => this.#syncNow());
  }

  #syncNow(): void {
    const addressing = this.#addressing;
    const { peers, ready } = this.#parts;
    if (addressing === undefined || !ready()) return;
    const now = monotonicMs();
    // Whom a presence of this moment is the first to name may not be the only one.
    if (now - this.#listensSince >= SETTLE_MS) addressing.keep(new Date());
    const wanted = new Map<Uid, MemberAddress>();
    for (const [uid, peer] of peers) {
      if (peers.isGone(peer, now)) {
        addressing.gone(uid);
        peer.address = undefined;
        continue;
      }
      const address = addressing.member(uid);
      wanted.set(uid, address);
      if (!addressing.knows(uid)) continue;
      const moved = peer.address !== undefined && peer.address !== address.ip4;
      peer.address = address.ip4;
      if (moved && peer.machine.state.is === 'online')
        this.#parts.trim(uid, 'its address in the network changed');
    }
    this.#sync.update(wanted);
    this.#tellKept(addressing);
    this.#reviewLater(addressing, now);
  }

  /** What tincan does not answer is told again with the next look around. */
  #tellKept(addressing: Addressing): void {
    const { tincan, log } = this.#parts;
    const ip4 = addressing.kept().slice(0, MAX_KEPT_ADDRESSES);
    const news = JSON.stringify(ip4);
    if (news === this.#keptTold) return;
    const before = this.#keptTold;
    this.#keptTold = news;
    tincan.call('set_kept_addresses', { ip4 }).catch((error: unknown) => {
      log.warn(`tincan was not told of kept addresses: ${describeError(error)}`);
      if (this.#keptTold === news) this.#keptTold = before;
    });
  }

  /** An address that is another's is left as soon as that may be. */
  #reviewLater(addressing: Addressing, now: number): void {
    const at = addressing.nextReview();
    if (at === Number.POSITIVE_INFINITY) {
      this.#timers.clear('review');
    } else if (!this.#timers.has('review')) {
      this.#timers.after('review', Math.max(RETRY_MS / 10, at - now), () => {
        if (addressing.review(monotonicMs())) void this.#moved();
        this.sync();
      });
    }
  }

  /** This node has another address than before. */
  async #moved(): Promise<void> {
    const { log, ready } = this.#parts;
    this.announce();
    if (!ready()) return;
    log.info({ ip4: this.#addressing?.local.ip4 }, 'this node has a new address');
    try {
      await this.#setLocalIp();
    } catch (error) {
      log.error(`the new address cannot be set: ${describeError(error)}`);
      this.#timers.after('set', RETRY_MS, () => void this.#moved());
    }
  }

  async #setLocalIp(): Promise<void> {
    const { config, tincan } = this.#parts;
    const switchmode = config.network.layer === 2;
    await tincan.call('set_local_ip', { uid: this.#uid, ...this.#addressing?.local, switchmode });
  }
}
