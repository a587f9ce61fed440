import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Ejabberd, ended, type Lab } from '../lab/index.ts';

const PROXY = fileURLToPath(new URL('hostile-proxy.mjs', import.meta.url));

type Order =
  /** From now on these texts are replaced in all that goes to the client. */
  | { do: 'replace'; pairs: { from: string; to: string }[] }
  /** Breaks the client's connection. */
  | { do: 'cut' }
  /** Sends all signals that ever passed to the client again. */
  | { do: 'replay'; times: number }
  /** Sends a stanza many times; `{i}`, `{uid}` and `{id}` in it are replaced by a number, a UID made of it, and a fresh id. */
  | { do: 'flood'; stanza: string; from: number; to: number };

/** A port of the hub behind which the operator lies to one client: see hostile-proxy.mjs. */
export class HostileHub {
  static readonly PORT = 5334;
  readonly #proxy: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  private constructor(proxy: ChildProcess, answers: AsyncIterator<string>) {
    this.#proxy = proxy;
    this.#answers = answers;
  }

  static async open(lab: Lab, hub: Ejabberd): Promise<HostileHub> {
    const pem = join(lab.dir, hub.host.name, 'conf', 'server.pem');
    const args = [PROXY, pem, String(HostileHub.PORT), hub.host.ip4, String(hub.ports.tls)];
    const proxy = hub.host.spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (proxy.stdout === null) throw new Error('the proxy has no output');
    const hostile = new HostileHub(proxy, createInterface({ input: proxy.stdout })[Symbol.asyncIterator]());
    await hostile.#answers.next();
    return hostile;
  }

  /** Resolves to how many stanzas were sent, or how many signals it has recorded. */
  async order(order: Order): Promise<number> {
    this.#proxy.stdin?.write(`${JSON.stringify(order)}\n`);
    const { value } = await this.#answers.next();
    const answer: unknown = JSON.parse(String(value));
    if (typeof answer !== 'number') throw new Error(`the proxy says ${String(value)}`);
    return answer;
  }

  async close(): Promise<void> {
    this.#proxy.stdin?.end();
    await ended(this.#proxy);
  }
}
