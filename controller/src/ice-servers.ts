import { describeError, type Logger, Timers } from '@kith/base';
import { type KithConfig, parseHostPort } from '@kith/config';
import type { IceServer } from '@kith/protocol';
import type { IceServer as HubIceServer } from './xmpp/index.ts';

/** The hub's TURN credentials are asked for again this often; ejabberd's live for 12 hours. */
const REFRESH_MS = 3_600_000;

/** RFC 8489 §18.6 and RFC 8656 §19: STUN and TURN share it. */
const STUN_PORT = 3478;

/** Servers that are handed to tincan per link; its library uses one STUN and two TURN servers of them. */
const MAX_SERVERS = 8;

/** How long a first link waits for the hub's answer: without a relay at hand, a pair that needs one would lose its first attempt. */
const FIRST_ANSWER_MS = 500;

/** The STUN and TURN servers from the config, and from the hub by XEP-0215. The last good answer of the hub stays in use. */
export class IceServers {
  readonly #configured: IceServer[];
  readonly #fromHub: boolean;
  readonly #log: Logger;
  readonly #timers = new Timers();
  readonly #onSettled: () => void;
  #discovered: IceServer[] = [];
  #settled = false;

  /** @param onSettled called once, when the hub has answered or links need not wait for it any longer */
  constructor(config: KithConfig['ice'], log: Logger, onSettled: () => void) {
    this.#log = log;
    this.#onSettled = onSettled;
    this.#fromHub = config.from_hub;
    this.#configured = [
      ...config.stun.flatMap((server) => configured('stun', server)),
      ...config.turn.flatMap(({ server, username, password }) =>
        configured('turn', server).map((parsed) => ({ ...parsed, username, password })),
      ),
    ];
  }

  current(): IceServer[] {
    return [...this.#configured, ...this.#discovered].slice(0, MAX_SERVERS);
  }

  /** Asks the hub now and again later. */
  refresh(discover: () => Promise<HubIceServer[]>): void {
    if (!this.#fromHub) {
      this.#settle();
      return;
    }
    if (!this.#settled) this.#timers.after('first answer', FIRST_ANSWER_MS, () => this.#settle());
    this.#timers.after('refresh', REFRESH_MS, () => this.refresh(discover));
    discover().then(
      (servers) => {
        this.#discovered = servers.flatMap(usable);
        this.#log.info(
          { servers: servers.length, usable: this.#discovered.length },
          'STUN and TURN servers of the hub',
        );
      },
      (error: unknown) => this.#log.warn(`no STUN and TURN servers from the hub: ${describeError(error)}`),
    );
  }

  #settle(): void {
    this.#timers.clear('first answer');
    if (this.#settled) return;
    this.#settled = true;
    this.#onSettled();
  }

  stop(): void {
    this.#timers.clearAll();
  }
}

/** The config's schema has checked the text; a list, so that text of another origin is left out instead of failing. */
function configured(type: IceServer['type'], server: string): IceServer[] {
  const parsed = parseHostPort(server, STUN_PORT);
  return parsed === undefined ? [] : [{ type, ...parsed }];
}

/** node-datachannel speaks STUN and TURN over UDP only. */
function usable(server: HubIceServer): IceServer[] {
  if (server.transport !== 'udp' || server.type === 'turns') return [];
  return [
    {
      type: server.type,
      host: server.host,
      port: server.port,
      ...(server.username === undefined ? {} : { username: server.username }),
      ...(server.password === undefined ? {} : { password: server.password }),
    },
  ];
}
