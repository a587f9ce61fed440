import { open, readFile, rename } from 'node:fs/promises';
import { describeError, type Logger } from '@kith/base';
import { isUid, type Uid } from '@kith/protocol';
import { z } from 'zod';

/** Nodes that are remembered; the least recently admitted ones are forgotten first. */
const MAX_NODES = 4_096;

const stored = z.object({
  version: z.literal(1),
  nodes: z.array(z.object({ uid: z.string(), jid: z.string() })),
});

/**
 * Which member each node belongs to, kept across restarts: a UID belongs to the JID that used it first, and a link that a running
 * tincan still holds can be judged before its peer's presence has come.
 */
export class KnownNodes {
  readonly #file: string;
  readonly #log: Logger;
  readonly #jids = new Map<Uid, string>();
  #saving: Promise<void> = Promise.resolve();

  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  /** Reads the file; a missing one is an empty one, a damaged one is reported and set aside. */
  async load(): Promise<void> {
    let text: string;
    try {
      text = await readFile(this.#file, 'utf8');
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
        this.#log.warn(`cannot read ${this.#file}: ${describeError(error)}`);
      }
      return;
    }
    try {
      for (const { uid, jid } of stored.parse(JSON.parse(text)).nodes.slice(-MAX_NODES)) {
        if (isUid(uid)) this.#jids.set(uid, jid);
      }
    } catch (error) {
      await rename(this.#file, `${this.#file}.damaged`);
      this.#log.error(`${this.#file} was damaged and is set aside: ${describeError(error)}`);
    }
  }

  /** Bare JID that the UID belongs to. */
  jidOf(uid: Uid): string | undefined {
    return this.#jids.get(uid);
  }

  /** All nodes of a member. */
  nodesOf(jid: string): Uid[] {
    return [...this.#jids].filter(([, owner]) => owner === jid).map(([uid]) => uid);
  }

  /** Takes note of a node; false when the UID belongs to another JID already. */
  claim(uid: Uid, jid: string): boolean {
    const owner = this.#jids.get(uid);
    if (owner !== undefined) return owner === jid;
    this.#jids.set(uid, jid);
    for (const oldest of this.#jids.keys()) {
      if (this.#jids.size <= MAX_NODES) break;
      this.#jids.delete(oldest);
    }
    this.#save();
    return true;
  }

  /** Resolves when all that was claimed is on disk. */
  saved(): Promise<void> {
    return this.#saving;
  }

  #save(): void {
    this.#saving = this.#saving.then(async () => {
      try {
        const nodes = [...this.#jids].map(([uid, jid]) => ({ uid, jid }));
        // Written beside and renamed, so that a crash leaves either the old or the new file whole.
        const temporary = `${this.#file}.new`;
        const handle = await open(temporary, 'w', 0o600);
        try {
          await handle.writeFile(`${JSON.stringify({ version: 1, nodes }, null, 1)}\n`);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(temporary, this.#file);
      } catch (error) {
        this.#log.error(`cannot write ${this.#file}: ${describeError(error)}`);
      }
    });
  }
}
