import { describeError, type Logger, Timers } from '@kith/base';
import type { PortMappingStatus } from '@kith/protocol';
import type { HomeNetwork } from './home-network.ts';
import type { Mapping, MappingRequest } from './mapping.ts';
import { MappingSchedule } from './mapping-schedule.ts';
import { whyUseless } from './outer-address.ts';

/** How often the default route is read; one reading costs some 50 µs. */
const LOOK_MS = 5_000;

/** A search over all protocols takes some six seconds at most; what takes longer hangs. */
const SEARCH_MS = 20_000;

/** Taking a mapping back must not hold up the end of the process. */
const RELEASE_MS = 1_000;

export interface OuterAddress {
  ip: string;
  port: number;
}

export interface PortMapperOptions {
  log: Logger;
  /** ms, monotonic */
  clock(): number;
  /** 0 ≤ x < 1 */
  random(): number;
  readNetwork(): HomeNetwork | undefined;
  /** Finds a router's way to map a port. Rejects when there is none. */
  search(request: MappingRequest): Promise<Mapping>;
  /** Where the router lets in what is for the port that was told last; null: nowhere. */
  changed(address: OuterAddress | null): void;
}

/** Keeps one UDP port mapped at the router, as long as there is a router that maps ports. Never throws. */
export class PortMapper {
  readonly #options: PortMapperOptions;
  readonly #timers = new Timers();
  readonly #schedule = new MappingSchedule();
  #port: number | null = null;
  #network: HomeNetwork | undefined;
  #mapping: Mapping | undefined;
  #detail: string | null = null;
  /** What `changed` was told last. */
  #told: string | null = null;
  /** The try under way. */
  #running: AbortController | undefined;
  #isStopped = false;

  constructor(options: PortMapperOptions) {
    this.#options = options;
  }

  /** The port to map; null: none. To be called again when whoever uses the mapping has forgotten it. */
  setPort(port: number | null): void {
    if (this.#isStopped) return;
    if (port === this.#port) {
      this.#options.changed(this.#address);
      return;
    }
    this.#port = port;
    if (port === null) this.#timers.clear('look');
    else this.#timers.every('look', LOOK_MS, () => this.#look());
    this.#network = this.#options.readNetwork();
    this.#restart(true);
  }

  get status(): PortMappingStatus {
    const address = this.#address;
    const mapped = address === null ? null : `${address.ip}:${address.port}`;
    const isSearching = this.#running !== undefined && mapped === null && this.#detail === null;
    const state =
      this.#port === null ? 'off' : mapped !== null ? 'mapped' : isSearching ? 'searching' : 'none';
    return { state, address: mapped, by: this.#mapping?.by ?? null, detail: this.#detail };
  }

  /** Takes the mapping back, for which it waits a second at most. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timers.clearAll();
    this.#running?.abort();
    await this.#release();
  }

  get #address(): OuterAddress | null {
    return this.#mapping === undefined ? null : { ip: this.#mapping.ip, port: this.#mapping.port };
  }

  #look(): void {
    const network = this.#options.readNetwork();
    if (JSON.stringify(network) === JSON.stringify(this.#network)) return;
    this.#network = network;
    // The router that gave the mapping is not ours any more, so that nobody is left to take it back from.
    this.#restart(false);
  }

  #restart(isRouterStill: boolean): void {
    this.#running?.abort();
    this.#running = undefined;
    this.#detail = this.#network === undefined ? 'there is no IPv4 default route' : null;
    const { clock } = this.#options;
    this.#schedule.restart(clock(), this.#port !== null && this.#network !== undefined);
    if (isRouterStill) void this.#release();
    this.#hold(undefined);
    this.#arm();
  }

  async #release(): Promise<void> {
    const mapping = this.#mapping;
    this.#mapping = undefined;
    try {
      await mapping?.release(AbortSignal.timeout(RELEASE_MS));
    } catch (error) {
      // It ends by itself at the end of its time.
      this.#options.log.debug(`a port mapping is left to its end: ${describeError(error)}`);
    }
  }

  #arm(): void {
    const wait = this.#schedule.dueAt - this.#options.clock();
    if (wait === Number.POSITIVE_INFINITY) this.#timers.clear('due');
    else this.#timers.after('due', Math.max(wait, 0), () => void this.#run());
  }

  async #run(): Promise<void> {
    const { clock, random, search } = this.#options;
    const [network, port] = [this.#network, this.#port];
    if (network === undefined || port === null || this.#running !== undefined) return;
    const running = new AbortController();
    this.#running = running;
    const signal = AbortSignal.any([running.signal, AbortSignal.timeout(SEARCH_MS)]);
    let mapping: Mapping | undefined;
    let problem: string | null;
    try {
      mapping = await (this.#mapping?.renew(signal) ?? search({ network, port, signal }));
      problem = whyUseless(mapping.ip, mapping.port);
    } catch (error) {
      problem = describeError(error);
    }
    const isOfUse = problem === null && !running.signal.aborted;
    if (!isOfUse) mapping?.release(AbortSignal.timeout(RELEASE_MS)).catch(() => {});
    if (running.signal.aborted) return;
    this.#running = undefined;
    this.#say(problem);
    if (mapping !== undefined && isOfUse) {
      this.#schedule.mapped(mapping.lifetimeMs, clock());
      this.#hold(mapping);
    } else {
      // A router that does not answer now may keep what it gave. If it has forgotten, nobody comes that way, and other paths are found.
      if (mapping !== undefined || !this.#schedule.isAlive(clock())) this.#hold(undefined);
      this.#schedule.failed(clock(), random);
    }
    this.#arm();
  }

  #say(problem: string | null): void {
    if (problem === this.#detail) return;
    this.#detail = problem;
    if (problem !== null) this.#options.log.info(`no port mapping: ${problem}`);
  }

  #hold(mapping: Mapping | undefined): void {
    this.#mapping = mapping;
    const address = this.#address;
    const text = address === null ? null : `${address.ip}:${address.port}`;
    if (text === this.#told) return;
    this.#told = text;
    if (mapping !== undefined)
      this.#options.log.info({ address: text, by: mapping.by }, 'the router maps our port');
    this.#options.changed(address);
  }
}
