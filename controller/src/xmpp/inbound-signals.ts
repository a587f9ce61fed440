import { Timers } from '@kith/base';
import type { Element } from '@xmpp/client';
import { normalJid, resourceOf } from './jid.ts';
import { parseSignal } from './signal-stanza.ts';
import { errorStanza, resultStanza } from './stanza.ts';
import type { IncomingSignal, RefuseCondition, XmppCounters } from './types.ts';

/** Signals that may wait for an answer at one time. Ours are answered in the tick in which they come; this bounds a mistake. */
const UNANSWERED_MAX = 256;
/** Less than the time for which the sender waits, so that it learns that nobody answers. */
const ANSWER_MS = 20_000;

export interface InboundHost {
  send(stanza: Element): void;
  /** Tells the listeners. How many heard it. */
  deliver(signal: IncomingSignal): number;
  readonly counters: Pick<
    XmppCounters,
    'signals_malformed' | 'signals_overrun' | 'signals_received' | 'signals_unanswered'
  >;
}

/** Sees to it that each incoming signal is answered exactly once. */
export class InboundSignals {
  readonly #host: InboundHost;
  readonly #timers = new Timers();
  #serial = 0;
  #open = 0;

  constructor(host: InboundHost) {
    this.#host = host;
  }

  /** Takes an IQ `set` whose only child is `query`. */
  take(iq: Element, query: Element): void {
    const { counters } = this.#host;
    const from = normalJid(iq.attrs.from);
    const body = parseSignal(query);
    if (from === null || resourceOf(from) === null || body === null) {
      counters.signals_malformed++;
      this.#host.send(errorStanza(iq, 'bad-request', 'modify'));
      return;
    }
    if (this.#open >= UNANSWERED_MAX) {
      counters.signals_overrun++;
      this.#host.send(errorStanza(iq, 'resource-constraint', 'wait'));
      return;
    }
    counters.signals_received++;
    const answer = this.#once(iq);
    const signal = {
      from,
      ...body,
      respond: () => answer(null),
      refuse: (condition: RefuseCondition = 'service-unavailable') => answer(condition),
    };
    // Nobody there, or whoever is there failed over it: the sender must not wait for the time-out.
    if (this.#host.deliver(signal) === 0) answer('service-unavailable');
  }

  /** Forgets all that waits; nothing is sent. */
  clear(): void {
    this.#timers.clearAll();
    this.#open = 0;
  }

  #once(iq: Element): (condition: RefuseCondition | null) => void {
    const name = `signal ${this.#serial++}`;
    const finish = (condition: RefuseCondition | null) => {
      if (!this.#timers.has(name)) return;
      this.#timers.clear(name);
      this.#end(iq, condition);
    };
    this.#open++;
    this.#timers.after(name, ANSWER_MS, () => {
      this.#host.counters.signals_unanswered++;
      this.#end(iq, 'service-unavailable');
    });
    return finish;
  }

  #end(iq: Element, condition: RefuseCondition | null): void {
    this.#open--;
    this.#host.send(condition === null ? resultStanza(iq) : errorStanza(iq, condition));
  }
}
