import { describeError, type Logger, Timers } from '@kith/base';
import { type KithConfig, parseHostPort } from '@kith/config';
import { type IceServer, MAX_ICE_SERVERS } from '@kith/protocol';
import { afterAnswerMs, afterFailureMs } from './ice-refresh.ts';
import type { IceServer as HubIceServer } from './xmpp/index.ts';

/** RFC 8489 §18.6 and RFC 8656 §19: STUN and TURN share it. */
const STUN_PORT = 3478;

/** How long a first link waits for the hub's answer: without a relay at hand, a pair that needs one would lose its first attempt. */
const FIRST_ANSWER_MS = 500;

/** The STUN and TURN servers from the config, and from the hub by XEP-0215. The last good answer of the hub stays in use. */
export class IceServers {
  readonly #configured: IceServer[];
  readonly #fromHub: boolean;
  readonly #log: Logger;
  readonly #timers = new Timers();
  /** Leaves out what is inside the network, and gives addresses for names. Never rejects. */
  readonly #outside: (servers: readonly IceServer[]) => Promise<IceServer[]>;
  readonly #onSettled: () => void;
  /** Those of the config, checked. */
  #own: IceServer[] = [];
  #discovered: IceServer[] = [];
  /** Questions in a row that the hub left without a good answer. */
  #failures = 0;
  /** Number of the last question; answers to earlier ones come too late. */
  #asked = 0;
  #settled = false;

  /** @param onSettled called once, when the hub has answered or links need not wait for it any longer */
  constructor(
    config: KithConfig['ice'],
    log: Logger,
    outside: (servers: readonly IceServer[]) => Promise<IceServer[]>,
    onSettled: () => void,
  ) {
    this.#log = log;
    this.#outside = outside;
    this.#onSettled = onSettled;
    this.#fromHub = config.from_hub;
    this.#configured = [
      ...config.stun.flatMap((server) => configured('stun', server)),
      ...config.turn.flatMap(({ server, transport, username, password }) =>
        configured('turn', server).map((parsed) => ({ ...parsed, transport, username, password })),
      ),
    ];
  }

  current(): IceServer[] {
    return [...this.#own, ...this.#discovered].slice(0, MAX_ICE_SERVERS);
  }

  /** Asks the hub now, and again before the credentials that it gives end. */
  refresh(discover: () => Promise<HubIceServer[]>): void {
    const own = this.#outside(this.#configured).then((servers) => {
      this.#own = servers;
    });
    if (!this.#fromHub) {
      void own.then(() => this.#settle());
      return;
    }
    if (!this.#settled) this.#timers.after('first answer', FIRST_ANSWER_MS, () => this.#settle());
    this.#timers.clear('refresh');
    const question = ++this.#asked;
    const answer = discover().then(async (servers) => {
      const [outside] = await Promise.all([this.#outside(servers.flatMap(usable)), own]);
      return { servers, outside };
    });
    answer.then(
      ({ servers, outside }) => {
        if (question !== this.#asked) return;
        this.#failures = 0;
        this.#discovered = outside;
        this.#log.info(
          { servers: servers.length, usable: this.#discovered.length },
          'STUN and TURN servers of the hub',
        );
        this.#again(afterAnswerMs(servers, Date.now()), discover);
        this.#settle();
      },
      (error: unknown) => {
        if (question !== this.#asked) return;
        this.#log.warn(`no STUN and TURN servers from the hub: ${describeError(error)}`);
        this.#again(afterFailureMs(++this.#failures), discover);
      },
    );
  }

  #again(ms: number, discover: () => Promise<HubIceServer[]>): void {
    this.#timers.after('refresh', ms, () => this.refresh(discover));
  }

  #settle(): void {
    this.#timers.clear('first answer');
    if (this.#settled) return;
    this.#settled = true;
    this.#onSettled();
  }

  stop(): void {
    this.#asked++;
    this.#timers.clearAll();
  }
}

/** The config's schema has checked the text; a list, so that text of another origin is left out instead of failing. */
function configured(type: IceServer['type'], server: string): IceServer[] {
  const parsed = parseHostPort(server, STUN_PORT);
  return parsed === undefined ? [] : [{ type, ...parsed }];
}

/** STUN is asked by UDP alone, and nothing here speaks TURN over DTLS. */
function usable({ type, host, port, transport, username, password }: HubIceServer): IceServer[] {
  if (type === 'stun') return transport === 'udp' ? [{ type, host, port }] : [];
  if (type === 'turns' && transport === 'udp') return [];
  return [
    {
      type: 'turn',
      host,
      port,
      transport: type === 'turns' ? 'tls' : transport,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    },
  ];
}
