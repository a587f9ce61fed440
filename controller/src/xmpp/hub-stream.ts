import {
  describeError,
  type KithError,
  type Logger,
  monotonicMs,
  PeerError,
  SystemError,
  Timers,
} from '@kith/base';
import { type Element, xml } from '@xmpp/client';
import { Connection, type ConnectionOptions, type Ready } from './connection.ts';
import { checkMs, keepaliveStep } from './keepalive.ts';
import type { Loss } from './loss.ts';
import { hasMoved } from './moved-hub.ts';
import { NS } from './namespaces.ts';
import { hasAddress } from './own-addresses.ts';
import { afterLoss, afterNetworkChange, FRESH_MEMORY, type LossKind } from './reconnect-policy.ts';
import { StreamManagement } from './stream-management.ts';
import type { HubState, HubStateName } from './types.ts';

/**
 * Requests are held to the window below; the rest is answers, bounded by what others ask. Less than a connection may
 * buffer, so that all of it can be sent again at once when the stream is resumed.
 */
const UNACKED = { stanzas: 4096, bytes: 2 * 1024 * 1024 };
/**
 * Bytes sent ahead of the hub's acknowledgement. Debian's ejabberd reads 3 kB/s after the first 20 kB: 12 KiB take 4 s there,
 * which the keepalive allows for, and on a fast hub they are 240 kB/s at a round trip of 50 ms.
 */
const WINDOW = 12 * 1024;

/** Tries that a change of this machine's network brings are so far apart; changes may come without end. */
const ANEW_MS = 500;

const STATE_AFTER: Record<LossKind, HubStateName> = {
  lost: 'waiting',
  untrusted: 'refused',
  refused: 'refused',
  conflict: 'conflict',
};

export interface HubStreamHandlers {
  /** A new stream is there; the hub knows nothing of us yet. Call `announced()` when it does. */
  onFresh(): void;
  /** The stream goes on after a break, nothing missed. */
  onResumed(): void;
  onStanza(stanza: Element): void;
  /** The hub acknowledged something: there may be room to send more. */
  onRoom(): void;
  /** The stream is gone for good, and with it what it carried: `unsent` stanzas had not been acknowledged. */
  onForgotten(unsent: number): void;
  onState(state: HubState): void;
}

/** One stream as XEP-0198 means it: it can outlive the connection on which it began. */
interface Stream {
  /** Null if the hub has no stream management: then stream and connection end together. */
  readonly sm: StreamManagement<Element> | null;
  announced: boolean;
}

/**
 * A stream of stanzas to and from the hub that is kept up across connections: it reconnects at the pace of the reconnect policy, resumes where it
 * can, says when it could not, and notices a connection that died without a word.
 */
export class HubStream {
  readonly #options: Omit<ConnectionOptions, 'resume'>;
  readonly #handlers: HubStreamHandlers;
  readonly #log: Logger;
  readonly #timers = new Timers();
  #memory = FRESH_MEMORY;
  #name: HubStateName = 'stopped';
  #since = monotonicMs();
  #detail: string | null = null;
  #retryAt: number | null = null;
  #connection: Connection | null = null;
  /** True between `onReady` of the connection and its loss: stanzas may be written. */
  #writable = false;
  #stream: Stream | null = null;
  #ackAsked = false;
  #heardAt = 0;
  #connects = 0;
  #triedAt = Number.NEGATIVE_INFINITY;

  constructor(options: Omit<ConnectionOptions, 'resume'>, handlers: HubStreamHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#log = options.log;
  }

  get state(): HubState {
    const retryInMs = this.#retryAt === null ? null : Math.max(0, this.#retryAt - monotonicMs());
    return { state: this.#name, detail: this.#detail, retryInMs, since: this.#since };
  }

  /** Connections tried since this object was made. */
  get connects(): number {
    return this.#connects;
  }

  /** Bytes that may be sent now without running ahead of the hub; Infinity when nothing is under way, 0 while it is away. */
  get room(): number {
    const stream = this.#stream;
    if (!this.#writable || stream === null || !stream.announced) return 0;
    const unacked = stream.sm?.unackedBytes ?? 0;
    // A stanza larger than the window goes alone.
    return unacked === 0 ? Number.POSITIVE_INFINITY : Math.max(0, WINDOW - unacked);
  }

  start(): void {
    if (this.#name !== 'stopped') return;
    this.#memory = FRESH_MEMORY;
    this.#connect();
  }

  /** Signs out. Resolves when the connection is closed; no timer is left. */
  async stop(): Promise<void> {
    if (this.#name === 'stopped') return;
    const connection = this.#connection;
    this.#connection = null;
    this.#writable = false;
    this.#timers.clearAll();
    this.#forget();
    this.#setState('stopped', null, null);
    await connection?.close();
  }

  /** The hub knows us now: the state becomes `online`. */
  announced(): void {
    if (this.#stream === null) return;
    this.#stream.announced = true;
    // Else the connection broke meanwhile; it will be online when it is resumed.
    if (!this.#writable) return;
    this.#log.info('online at the hub');
    this.#setState('online', null, null);
  }

  /** Sends a stanza, now or when the stream is resumed. False if there is no stream: it was not taken. */
  send(stanza: Element): boolean {
    const stream = this.#stream;
    if (stream === null) return false;
    if (stream.sm !== null && !stream.sm.sent(stanza, stanza.toString().length)) {
      this.abandon(new PeerError('XMPP_UNACKED', 'the hub acknowledges nothing of what we send'));
      return false;
    }
    this.#write(stanza);
    this.#askForAck();
    return true;
  }

  /** Gives up connection and stream, and starts afresh after a wait. */
  abandon(error: KithError): void {
    this.#onLoss({ kind: 'lost', error, resumable: false });
  }

  /** There is doubt whether the connection lives: asks for a sign of life, and gives it up soon when none comes. */
  check(): void {
    if (!this.#writable || this.#timers.has('check')) return;
    const askedAt = monotonicMs();
    this.#probe();
    this.#timers.after('check', checkMs(this.#stream?.sm?.unackedBytes ?? 0), () => {
      if (this.#heardAt < askedAt) this.#onLoss({ kind: 'lost', error: silent(), resumable: true }, true);
    });
  }

  /** This machine's network changed: a connection from an address that is gone is dead, and what waits or began before is tried anew. */
  networkChanged(): void {
    if (this.#writable) {
      this.#checkAddress();
      return;
    }
    // A hub that refused us will not change its mind for that.
    if (this.#name !== 'waiting' && this.#name !== 'connecting') return;
    // The first try may still fail by what the kernel remembers of the time before (a neighbour that did not answer, for 3 s).
    this.#memory = afterNetworkChange(this.#memory);
    const triedAt = this.#triedAt;
    this.#timers.after('anew', Math.max(0, triedAt + ANEW_MS - monotonicMs()), () => {
      // A try that began after the change knows of it.
      if (this.#writable || this.#triedAt !== triedAt) return;
      this.#connection?.destroy();
      this.#timers.clearAll();
      this.#connect();
    });
  }

  /** What comes from an address that the machine has no more, the hub will never answer. */
  #checkAddress(): void {
    const address = this.#connection?.addresses?.localAddress;
    if (address === undefined || hasAddress(address)) {
      this.check();
      return;
    }
    const error = new SystemError('XMPP_ADDRESS_GONE', `this machine has no address ${address} any more`);
    this.#onLoss({ kind: 'lost', error, resumable: true }, true);
  }

  #setState(name: HubStateName, detail: string | null, retryInMs: number | null): void {
    const now = monotonicMs();
    if (name !== this.#name) this.#since = now;
    this.#name = name;
    this.#detail = detail;
    this.#retryAt = retryInMs === null ? null : now + retryInMs;
    this.#handlers.onState(this.state);
  }

  #connect(): void {
    this.#connects++;
    this.#triedAt = monotonicMs();
    // A try that begins after the change is as good as one because of it.
    this.#timers.clear('anew');
    const sm = this.#stream?.sm ?? null;
    const resume = sm === null || sm.id === null ? null : { id: sm.id, inbound: sm.inbound };
    const connection = new Connection(
      { ...this.#options, resume },
      {
        onReady: (ready) => this.#onReady(ready),
        onStanza: (stanza) => {
          this.#stream?.sm?.received();
          this.#handlers.onStanza(stanza);
        },
        onAck: (h) => this.#onAck(h),
        onAckRequest: () => this.#acknowledge(),
        onHeard: () => {
          this.#heardAt = monotonicMs();
        },
        onLoss: (loss) => this.#onLoss(loss),
      },
    );
    this.#connection = connection;
    this.#setState('connecting', this.#detail, null);
    // A listener of the state may have stopped us.
    if (this.#connection === connection) connection.start();
  }

  #onReady(ready: Ready): void {
    this.#writable = true;
    this.#ackAsked = false;
    this.#keepalive(Number.NEGATIVE_INFINITY);
    if (!ready.resumed) {
      this.#forget();
      this.#stream = { sm: ready.managed ? new StreamManagement(ready.id, UNACKED) : null, announced: false };
      this.#handlers.onFresh();
      return;
    }
    const stream = this.#stream;
    if (stream === null || stream.sm === null || !stream.sm.acked(ready.h)) {
      this.abandon(disagreement());
      return;
    }
    for (const stanza of stream.sm.unacked) this.#write(stanza);
    this.#askForAck();
    this.#handlers.onResumed();
    if (stream.announced && this.#stream === stream) this.announced();
  }

  #onAck(h: string | undefined): void {
    const sm = this.#stream?.sm ?? null;
    if (sm === null) return;
    this.#ackAsked = false;
    if (!sm.acked(h)) {
      this.abandon(disagreement());
      return;
    }
    this.#handlers.onRoom();
    // Something went out after the question; it wants an answer too.
    if (sm.unackedBytes > 0) this.#askForAck();
  }

  #askForAck(): void {
    if (this.#ackAsked || !this.#writable || this.#stream === null || this.#stream.sm === null) return;
    this.#ackAsked = true;
    this.#write(xml('r', { xmlns: NS.sm }));
  }

  #acknowledge(): void {
    const sm = this.#stream?.sm ?? null;
    if (sm !== null) this.#write(xml('a', { xmlns: NS.sm, h: String(sm.inbound) }));
  }

  #write(element: Element): void {
    if (this.#writable) this.#connection?.write(element);
  }

  #keepalive(probedAt: number): void {
    const now = monotonicMs();
    const { action, delayMs } = keepaliveStep(this.#heardAt, probedAt, now);
    if (action === 'dead') {
      this.#onLoss({ kind: 'lost', error: silent(), resumable: true });
      return;
    }
    if (action === 'probe') {
      this.#probe();
      const soon = checkMs(this.#stream?.sm?.unackedBytes ?? 0);
      this.#timers.after('moved', soon, () => void this.#lookWhetherMoved(now));
    }
    this.#timers.after('keepalive', delayMs, () => this.#keepalive(action === 'probe' ? now : probedAt));
  }

  /** A probe has no answer yet: where the hub's name leads elsewhere by now, no more is waited for. */
  async #lookWhetherMoved(probedAt: number): Promise<void> {
    const connection = this.#connection;
    const address = connection?.addresses?.remoteAddress;
    const { server, resolve } = this.#options;
    if (address === undefined || this.#heardAt >= probedAt || !(await hasMoved(server, address, resolve)))
      return;
    if (this.#connection !== connection || this.#heardAt >= probedAt) return;
    const error = new SystemError(
      'XMPP_MOVED',
      `the hub is silent, and its name leads to ${address} no more`,
    );
    this.#onLoss({ kind: 'lost', error, resumable: true }, true);
  }

  /** Asks for any sign of life: an acknowledgement where there is stream management, else XEP-0199. */
  #probe(): void {
    if (this.#stream !== null && this.#stream.sm !== null) {
      this.#write(xml('r', { xmlns: NS.sm }));
      return;
    }
    const ping = xml('ping', { xmlns: NS.ping });
    this.#write(xml('iq', { type: 'get', id: PING_ID, to: this.#options.domain }, ping));
  }

  /** @param soon whether what was lost may be there again at once: the network changed, and not the hub */
  #onLoss(loss: Loss, soon = loss.kind === 'lost' && this.#timers.has('check')): void {
    const now = monotonicMs();
    const onlineMs = this.#name === 'online' ? now - this.#since : 0;
    this.#connection?.destroy();
    this.#connection = null;
    this.#writable = false;
    this.#timers.clearAll();
    const after = afterLoss(this.#memory, loss.kind, onlineMs);
    this.#memory = after.memory;
    const waitMs = soon && onlineMs > 0 ? 0 : after.waitMs;
    // Before the stream is forgotten: whoever is told of that may send, or stop us.
    this.#timers.after('retry', waitMs, () => this.#connect());
    const detail = `${loss.error.code}: ${describeError(loss.error)}`;
    this.#log.warn(
      { code: loss.error.code, retry_in_ms: Math.round(waitMs), err: loss.error },
      'the hub is away',
    );
    this.#setState(STATE_AFTER[loss.kind], detail, waitMs);
    if (!loss.resumable || this.#stream?.sm?.id == null) this.#forget();
  }

  #forget(): void {
    const stream = this.#stream;
    this.#stream = null;
    if (stream !== null) this.#handlers.onForgotten(stream.sm?.unacked.length ?? 0);
  }
}

/** Id of an XEP-0199 probe, whose answer says nothing beyond that it came. */
export const PING_ID = 'kith-probe';

function silent(): SystemError {
  return new SystemError('XMPP_SILENT', 'the connection to the hub is dead: no answer to a probe');
}

function disagreement(): PeerError {
  return new PeerError('XMPP_ACK', 'the hub acknowledges what was never sent');
}
