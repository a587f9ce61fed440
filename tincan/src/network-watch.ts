import { readFileSync } from 'node:fs';
import { describeError, type Logger, SystemError, Timers } from '@kith/base';
import { NetworkMonitor } from '@kith/posix';
import { type LocalAddress, readLocalAddresses } from './direct/local-addresses.ts';

/** How often the kernel's news are read once there was one. */
const LOOK_MS = 100;

/** An address goes before the next one comes, and its routes come last: news are acted on when a look finds none more, or after so many. */
const MAX_RESTLESS_LOOKS = 4;

/** How often addresses and routes are read where the kernel tells no news. */
const POLL_MS = 2_000;

/** The same where it does, should news ever be missed: reading all of it takes milliseconds of a machine that has nothing to do. */
const CHECK_MS = 120_000;

/** The kernel's news of this machine's network. */
export interface ChangeSource {
  /** Whether something changed since the last look. @throws SystemError when there will be no news any more. */
  changed(): boolean;
  /** Calls the handler once there is news. Takes the place of an earlier call. */
  whenNews(handler: () => void): void;
  close(): void;
}

export interface NetworkWatchOptions {
  log: Logger;
  /** The addresses that may carry links. */
  readAddresses(): readonly LocalAddress[];
  readRoutes(): readonly string[];
  /** @throws SystemError where the machine refuses it. */
  monitor(): ChangeSource;
  /** Something of interfaces, addresses or routes may be different. */
  news?(): void;
  /** Addresses or default routes are others than before. */
  changed(): void;
}

/** Notices that this machine got another address or another default route. Needs `close`. */
export class NetworkWatch {
  readonly #options: NetworkWatchOptions;
  readonly #timers = new Timers();
  #monitor: ChangeSource | undefined;
  #picture: string;
  /** Looks in a row that found news; 0: none is awaited by the clock. */
  #restless = 0;

  constructor(options: NetworkWatchOptions) {
    this.#options = options;
    try {
      this.#monitor = options.monitor();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      options.log.warn({ err: error }, `changes of the network are noticed later: ${describeError(error)}`);
    }
    this.#picture = this.#read();
    this.#poll();
    this.#await();
  }

  close(): void {
    this.#timers.clearAll();
    this.#monitor?.close();
    this.#monitor = undefined;
  }

  #poll(): void {
    this.#timers.every('poll', this.#monitor === undefined ? POLL_MS : CHECK_MS, () => {
      this.#options.news?.();
      this.#compare();
    });
  }

  #await(): void {
    this.#restless = 0;
    this.#monitor?.whenNews(() => this.#look());
  }

  #look(): void {
    try {
      if (this.#monitor?.changed() === true) {
        this.#restless++;
        this.#options.news?.();
      } else if (this.#restless === 0) {
        this.#await();
        return;
      } else this.#restless = MAX_RESTLESS_LOOKS;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#options.log.warn({ err: error }, `the kernel's news end: ${describeError(error)}`);
      this.#monitor?.close();
      this.#monitor = undefined;
      this.#poll();
      this.#restless = MAX_RESTLESS_LOOKS;
    }
    if (this.#restless < MAX_RESTLESS_LOOKS) {
      this.#timers.after('look', LOOK_MS, () => this.#look());
      return;
    }
    this.#compare();
    this.#await();
  }

  /** Most of what the kernel tells is about something else: neighbours' routes, containers, our own TAP device. */
  #compare(): void {
    const before = this.#picture;
    this.#picture = this.#read();
    if (this.#picture !== before) this.#options.changed();
  }

  #read(): string {
    const { readAddresses, readRoutes } = this.#options;
    const addresses = readAddresses().map(({ interface: name, ip }) => `${name} ${ip}`);
    return [...addresses.sort(), ...[...readRoutes()].sort()].join('\n');
  }
}

/** Watches this machine, but for the interfaces that carry no links. */
export function watchNetwork(options: {
  log: Logger;
  isIgnored(name: string): boolean;
  /** Calls the handler once the descriptor can be read. */
  whenReadable(fd: number, handler: () => void): void;
  news(): void;
  changed(): void;
}): NetworkWatch {
  const { log, isIgnored, whenReadable, news, changed } = options;
  return new NetworkWatch({
    log,
    readAddresses: () => readLocalAddresses().filter(({ interface: name }) => !isIgnored(name)),
    readRoutes: readDefaultRoutes,
    monitor: () => {
      const monitor = new NetworkMonitor();
      return {
        changed: () => monitor.changed(),
        whenNews: (handler) => whenReadable(monitor.fd, handler),
        close: () => monitor.close(),
      };
    },
    news,
    changed,
  });
}

/** The default routes of the main table: interface, gateway and metric of each. A table that the kernel does not have is empty. */
function readDefaultRoutes(): string[] {
  return [...ip4Defaults(table('/proc/net/route')), ...ip6Defaults(table('/proc/net/ipv6_route'))];
}

/** Columns of proc(5)'s /proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask … */
export function ip4Defaults(text: string): string[] {
  return rows(text).flatMap(([name, destination, gateway, , , , metric, mask]) =>
    destination === '00000000' && mask === '00000000' ? [`${name} ${gateway} ${metric}`] : [],
  );
}

/** Columns of /proc/net/ipv6_route (net/ipv6/route.c): destination, its prefix length, source, its, next hop, metric, two counters, flags, name. */
export function ip6Defaults(text: string): string[] {
  return rows(text).flatMap(([, length, , , nextHop, metric, , , , name]) =>
    // The kernel's own route to nowhere is by lo.
    length === '00' && name !== undefined && name !== 'lo' ? [`${name} ${nextHop} ${metric}`] : [],
  );
}

function rows(text: string): string[][] {
  return text.split('\n').map((line) => line.trim().split(/\s+/));
}

function table(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
