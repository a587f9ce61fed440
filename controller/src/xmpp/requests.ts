import { randomBytes } from 'node:crypto';
import { SystemError, Timers } from '@kith/base';
import type { Element } from '@xmpp/client';

/** Long enough for a slow hub to read a large roster from its database. */
const ANSWER_MS = 15_000;

interface Open {
  resolve(answer: Element): void;
  reject(error: Error): void;
}

/** Our own questions to the hub (roster, services, ping) that wait for an answer: few at a time. */
export class Requests {
  readonly #timers = new Timers();
  readonly #open = new Map<string, Open>();

  /**
   * @param send gets the id that the question must bear
   * @returns the answer, be it result or error
   * @throws SystemError XMPP_TIMEOUT after 15 s, or whatever `rejectAll` is given
   */
  ask(what: string, send: (id: string) => void): Promise<Element> {
    return new Promise<Element>((resolve, reject) => {
      const id = `${what}-${randomBytes(8).toString('hex')}`;
      this.#open.set(id, { resolve, reject });
      this.#timers.after(id, ANSWER_MS, () => {
        this.#open.delete(id);
        reject(new SystemError('XMPP_TIMEOUT', `the hub did not answer our ${what} request`));
      });
      send(id);
    });
  }

  /** True if the answer was waited for. The caller has checked that it comes from the hub. */
  settle(id: string, answer: Element): boolean {
    const open = this.#open.get(id);
    if (open === undefined) return false;
    this.#open.delete(id);
    this.#timers.clear(id);
    open.resolve(answer);
    return true;
  }

  rejectAll(error: Error): void {
    this.#timers.clearAll();
    const all = [...this.#open.values()];
    this.#open.clear();
    for (const { reject } of all) reject(error);
  }
}
