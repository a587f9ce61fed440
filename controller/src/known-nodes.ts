import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describeError, type Logger, SystemError } from '@kith/base';
import { isFingerprint, isUid, type Uid } from '@kith/protocol';
import { z } from 'zod';

/** Nodes that can be pinned. At the limit new ones are refused: forgetting an old one would let somebody else take its place. */
export const MAX_PINS = 4_096;

/** A node that belongs to a member. */
export interface Pin {
  /** Bare JID of the member. */
  readonly jid: string;
  /** SHA-256 fingerprint of its certificate, once heard; the UID is its first 160 bits. */
  readonly fpr: string | null;
  /** A person has compared it. */
  readonly verified: boolean;
  /** When it was pinned, accepted or verified, ISO 8601. */
  readonly since: string;
  /** The static address by which this node knows it, and since when: nobody else gets it. Left out: none. */
  readonly held?: { readonly ip4: string; readonly since: string };
}

const uid = z.string().refine(isUid, 'is no UID');
const jid = z.string().min(3).max(3_071);
/** Written before pins had more to say than whose they are. */
const first = z.strictObject({
  version: z.literal(1),
  nodes: z.array(z.strictObject({ uid, jid })).max(MAX_PINS),
});
const second = z.strictObject({
  version: z.literal(2),
  nodes: z
    .array(
      z.strictObject({
        ...{ uid, jid },
        fpr: z.string().refine(isFingerprint, 'is no fingerprint').nullable(),
        verified: z.boolean(),
        since: z.string(),
        held: z.strictObject({ ip4: z.ipv4(), since: z.string() }).exactOptional(),
      }),
    )
    .max(MAX_PINS),
});
const stored = z.discriminatedUnion('version', [first, second]);

/**
 * The pins: which member each node belongs to, kept across restarts. A UID belongs to one JID for good, until a person says
 * otherwise. A file that cannot be read is an error, never an empty one: everybody would be new again, and so would be an impostor.
 */
export class KnownNodes {
  readonly #file: string;
  readonly #log: Logger;
  readonly #pins = new Map<Uid, Pin>();
  readonly #byJid = new Map<string, Set<Uid>>();
  readonly #byHeld = new Map<string, Set<Uid>>();
  #saving: Promise<void> | undefined;
  #changed = false;
  #problem: string | null = null;

  constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  /**
   * Reads the file; a missing one is an empty one.
   * @throws SystemError PINS_UNREADABLE, PINS_DAMAGED; both name the file.
   */
  async load(): Promise<void> {
    let text: string;
    try {
      text = await readFile(this.#file, 'utf8');
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return;
      throw new SystemError('PINS_UNREADABLE', `cannot read the pinned nodes in ${this.#file}`, {
        ...{ field: this.#file, cause },
      });
    }
    try {
      this.#take(text);
    } catch (error) {
      const detail =
        error instanceof z.ZodError ? z.prettifyError(error).split('\n')[0] : describeError(error);
      throw new SystemError(
        'PINS_DAMAGED',
        `the pinned nodes in ${this.#file} are damaged (${detail}); put a copy of it back, or delete it to trust anew whoever comes first`,
        { field: this.#file },
      );
    }
  }

  #take(text: string): void {
    const { version, nodes } = stored.parse(JSON.parse(text));
    if (version === 1) {
      const since = new Date().toISOString();
      for (const node of nodes) this.#set(node.uid, { jid: node.jid, fpr: null, verified: false, since });
      return;
    }
    for (const { uid: id, ...pin } of nodes) {
      if (this.#pins.has(id)) throw new Error(`UID ${id} stands twice`);
      this.#set(id, pin);
    }
  }

  get size(): number {
    return this.#pins.size;
  }

  /** Why the last attempt to write the file failed; null when it did not. */
  get problem(): string | null {
    return this.#problem;
  }

  get(id: Uid): Pin | undefined {
    return this.#pins.get(id);
  }

  all(): Iterable<[Uid, Pin]> {
    return this.#pins;
  }

  /** Bare JID that the UID belongs to. */
  jidOf(id: Uid): string | undefined {
    return this.#pins.get(id)?.jid;
  }

  /** All nodes of a member. */
  nodesOf(owner: string): Uid[] {
    return [...(this.#byJid.get(owner) ?? [])];
  }

  /** All static addresses that are held. */
  heldAddresses(): Iterable<string> {
    return this.#byHeld.keys();
  }

  /** All nodes that hold a static address. */
  holders(ip4: string): Uid[] {
    return [...(this.#byHeld.get(ip4) ?? [])];
  }

  /** Pins a node, or changes what its pin says; false at the limit. The JID of a pin never changes here. */
  put(id: Uid, pin: Pin): boolean {
    const present = this.#pins.get(id);
    if (present === undefined ? this.#pins.size >= MAX_PINS : present.jid !== pin.jid) return false;
    this.#set(id, pin);
    this.#save();
    return true;
  }

  remove(id: Uid): void {
    const pin = this.#pins.get(id);
    if (pin === undefined) return;
    this.#pins.delete(id);
    leave(this.#byJid, pin.jid, id);
    if (pin.held !== undefined) leave(this.#byHeld, pin.held.ip4, id);
    this.#save();
  }

  /** Resolves when all that was changed was written, or could not be: see `problem`. */
  async saved(): Promise<void> {
    await this.#saving;
  }

  #set(id: Uid, pin: Pin): void {
    const before = this.#pins.get(id)?.held;
    if (before !== undefined) leave(this.#byHeld, before.ip4, id);
    this.#pins.set(id, pin);
    enter(this.#byJid, pin.jid, id);
    if (pin.held !== undefined) enter(this.#byHeld, pin.held.ip4, id);
  }

  /** Changes that come while the file is being written go into the next writing together. */
  #save(): void {
    this.#changed = true;
    this.#saving ??= this.#write().finally(() => {
      this.#saving = undefined;
    });
  }

  async #write(): Promise<void> {
    while (this.#changed) {
      this.#changed = false;
      try {
        await replaceFile(this.#file, this.#text());
        this.#problem = null;
      } catch (error) {
        this.#problem = `cannot write ${this.#file}: ${describeError(error)}`;
        this.#log.error(this.#problem);
      }
    }
  }

  #text(): string {
    const nodes = [...this.#pins].map(([id, pin]) => ({ uid: id, ...pin }));
    return `${JSON.stringify({ version: 2, nodes }, null, 1)}\n`;
  }
}

function enter(index: Map<string, Set<Uid>>, key: string, id: Uid): void {
  index.set(key, (index.get(key) ?? new Set()).add(id));
}

function leave(index: Map<string, Set<Uid>>, key: string, id: Uid): void {
  const nodes = index.get(key);
  nodes?.delete(id);
  if (nodes?.size === 0) index.delete(key);
}

/**
 * Written beside and renamed, so that a crash at any moment leaves either the old or the new file whole. rename(2) is atomic but not
 * durable: without the fsync of the directory a power failure may bring the old name back, and with it a forgotten pin.
 */
export async function replaceFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.new`;
  // What an earlier crash left there has the mode that it has; a new one gets ours.
  await rm(temporary, { force: true });
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  const directory = await open(dirname(file), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
