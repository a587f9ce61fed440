import { describeError, type Logger, SystemError } from '@kith/base';
import type { Uid } from '@kith/protocol';
import type { MemberAddress } from './addressing/index.ts';

/** What tincan knows of a member when nobody can say: no address is spelt like this. */
const UNKNOWN = '?';

type Call = (method: 'set_member' | 'remove_member', parameters: object) => Promise<unknown>;

/**
 * Keeps tincan's table of members like ours. One call at a time: a roster of thousands must not overrun the socket buffer, and of
 * several changes of one member only the last one has to be told.
 */
export class MemberSync {
  readonly #call: Call;
  readonly #log: Logger;
  /** What tincan knows, as JSON. */
  readonly #told = new Map<Uid, string>();
  #wanted: ReadonlyMap<Uid, MemberAddress> = new Map();
  /** Members of whom tincan is to be told something, in the order in which that began. */
  readonly #due = new Set<Uid>();
  #running = false;

  constructor(call: Call, log: Logger) {
    this.#call = call;
    this.#log = log;
  }

  /** A new tincan, which knows nobody. */
  reset(): void {
    this.#told.clear();
    this.#due.clear();
  }

  /** What tincan is to know from now on; told in the background. */
  update(wanted: ReadonlyMap<Uid, MemberAddress>): void {
    this.#wanted = wanted;
    for (const uid of this.#told.keys()) if (!wanted.has(uid)) this.#due.add(uid);
    for (const [uid, address] of wanted) {
      if (this.#told.get(uid) !== JSON.stringify(address)) this.#due.add(uid);
    }
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (const uid of this.#due) {
      // What is added again meanwhile comes again: a Set is walked in the order of insertion.
      this.#due.delete(uid);
      try {
        await this.#tell(uid, this.#wanted.get(uid));
      } catch (error) {
        this.#log.warn({ peer: uid }, `tincan was not told of a member: ${describeError(error)}`);
        // Refused once, refused again. A tincan that does not answer is told with the next update, or as a new one.
        if (error instanceof SystemError) {
          this.#told.set(uid, UNKNOWN);
          break;
        }
      }
    }
    this.#running = false;
  }

  async #tell(uid: Uid, address: MemberAddress | undefined): Promise<void> {
    const text = address === undefined ? undefined : JSON.stringify(address);
    if (text === this.#told.get(uid)) return;
    if (text === undefined) {
      this.#told.delete(uid);
      await this.#call('remove_member', { uid });
    } else {
      this.#told.set(uid, text);
      await this.#call('set_member', { uid, ...address });
    }
  }
}
