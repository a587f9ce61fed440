import { readFile, rename } from 'node:fs/promises';
import { describeError, type Logger } from '@kith/base';
import { isUid } from '@kith/protocol';
import { z } from 'zod';
import { replaceFile } from '../known-nodes.ts';
import { MAX_MAPPED, type MappedNode } from './social-map.ts';

const mapped = z.strictObject({ uid: z.string().refine(isUid), jid: z.string(), ip4: z.ipv4() });
const stored = z.strictObject({
  version: z.literal(1),
  /** Address that this node chose for itself; null: none yet. */
  ip4: z.ipv4().nullable(),
  friends: z.array(mapped).max(MAX_MAPPED),
  /** Its own static address when nobody else claimed it, and since when. */
  held: z.strictObject({ ip4: z.ipv4(), since: z.string() }).exactOptional(),
});

/** What is remembered of addresses, so that nobody's changes with a restart. */
export interface Remembered {
  ip4: string | null;
  friends: MappedNode[];
  /** The static address that this node has had for itself, and since when; left out: none. */
  held?: { ip4: string; since: string };
}

/** The file of the addresses that this node chose. Losing it costs a change of addresses, so a damaged one is set aside. */
export class AddressStore {
  readonly #file: string;
  readonly #log: Logger;
  #wanted: Remembered | undefined;
  #saving: Promise<void> | undefined;

  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  async load(): Promise<Remembered> {
    let text: string;
    try {
      text = await readFile(this.#file, 'utf8');
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
        this.#log.warn(`cannot read ${this.#file}: ${describeError(error)}`);
      }
      return { ip4: null, friends: [] };
    }
    try {
      const { version: _, ...remembered } = stored.parse(JSON.parse(text));
      return remembered;
    } catch (error) {
      this.#log.error(`${this.#file} is damaged and is set aside: ${describeError(error)}`);
      await rename(this.#file, `${this.#file}.damaged`).catch((failure: unknown) =>
        this.#log.error(describeError(failure)),
      );
      return { ip4: null, friends: [] };
    }
  }

  /** Writes soon; of several calls in a row only the last one's content is written. */
  save(remembered: Remembered): void {
    this.#wanted = remembered;
    this.#saving ??= this.#write().finally(() => {
      this.#saving = undefined;
    });
  }

  /** Resolves when all that was to be saved was written, or could not be. */
  async saved(): Promise<void> {
    await this.#saving;
  }

  async #write(): Promise<void> {
    while (this.#wanted !== undefined) {
      const text = `${JSON.stringify({ version: 1, ...this.#wanted }, null, 1)}\n`;
      this.#wanted = undefined;
      try {
        await replaceFile(this.#file, text);
      } catch (error) {
        this.#log.error(`cannot write ${this.#file}: ${describeError(error)}`);
      }
    }
  }
}
