import type { Client } from '@xmpp/client';
import { SCRAM_MECHANISMS, Scram } from './scram.ts';

/** @xmpp/client takes and gives messages with one character per byte. */
const toBinary = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
const fromBinary = (binary: string) => Buffer.from(binary, 'latin1').toString('utf8');

/**
 * Makes SCRAM with proof from the server the only mechanisms that the library knows. Its own go: PLAIN would hand the password to
 * whoever answers, ANONYMOUS is nobody, and its SCRAM-SHA-1 takes half a second and never checks the server.
 * @param onBegin gets the exchange that the library begins, to check the proof that comes with the server's success
 */
export function installScram(
  factory: Client['saslFactory'],
  user: string,
  password: string,
  onBegin: (scram: Scram) => void,
): void {
  factory._mechs.length = 0;
  for (const [name, hash] of SCRAM_MECHANISMS) {
    factory.use(
      name,
      class {
        readonly name = name;
        readonly clientFirst = true;
        readonly #scram = new Scram(hash, user, password);
        #next: string | null = null;

        async response(): Promise<string> {
          if (this.#next !== null) return toBinary(this.#next);
          onBegin(this.#scram);
          return toBinary(this.#scram.first());
        }

        /** First the server's nonce and salt; some servers send their proof as a second challenge, to be answered with nothing. */
        async challenge(binary: string): Promise<void> {
          const text = fromBinary(binary);
          if (this.#next === null) {
            this.#next = await this.#scram.final(text);
          } else {
            this.#scram.verify(text);
            this.#next = '';
          }
        }
      },
    );
  }
}
