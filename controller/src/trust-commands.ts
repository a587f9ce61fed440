import { ConfigError, SystemError } from '@kith/base';
import { bareJid, type TrustAnswer, type TrustNode, type TrustQuestion, type Uid } from '@kith/protocol';
import type { Pin } from './known-nodes.ts';
import type { Trust } from './trust.ts';
import { trustCode } from './trust-code.ts';

/** Codes in one answer: each takes 60 ms of a core. A person with more machines names one. */
const MAX_CODES = 16;

/** Nodes remembered as shown; whoever compares more of them in one sitting looks at some of them again. */
const MAX_SHOWN = 1_024;

/** What the commands need to know of this node. */
export interface Self {
  jid: string;
  uid: Uid | undefined;
  fpr: string | undefined;
}

type Named = Extract<TrustQuestion, { name: string }>;

/**
 * What a person does about trust. Where no UID is given, a command that admits somebody wants to know exactly one that it can mean: which
 * new node is shown, and how many, is in the hands of whoever runs the hub.
 */
export class TrustCommands {
  readonly #trust: Trust;
  readonly #self: () => Self;
  readonly #changed: () => void;
  /** Nodes whose code was shown and which may therefore be confirmed without naming them. */
  readonly #shown = new Set<Uid>();

  /** @param changed called after every change; links that are not allowed any more end there */
  constructor(trust: Trust, self: () => Self, changed: () => void) {
    this.#trust = trust;
    this.#self = self;
    this.#changed = changed;
  }

  /**
   * @throws ConfigError TRUST_NAME, TRUST_NOTHING, TRUST_WHICH, TRUST_UID_TAKEN, TRUST_STRICT, TRUST_SELF, TRUST_NOT_SHOWN, TRUST_FULL: what was asked
   * cannot be done; SystemError TRUST_NOT_SAVED: it was done, but will be forgotten.
   */
  async run(question: TrustQuestion): Promise<TrustAnswer> {
    if (question.do === 'list') return this.#answer(this.#all());
    const asked = { ...question, name: this.#fullName(question.name) };
    switch (asked.do) {
      case 'accept':
        return this.#changedTo(this.#accept(asked));
      case 'forget':
        return this.#changedTo(this.#forget(asked));
      case 'verify':
        return asked.confirm ? this.#changedTo(await this.#confirm(asked)) : this.#verify(asked);
    }
  }

  #accept({ name, uid }: Named): TrustNode[] {
    if (this.#trust.mode === 'strict') {
      throw new ConfigError(
        'TRUST_STRICT',
        `security.trust is strict, so that only a verified node gets a link: kith trust verify ${name}`,
      );
    }
    const chosen =
      uid ??
      this.#theOne(
        name,
        this.#trust.waiting.of(name).map((node) => node.uid),
        'no new node of',
      );
    this.#pin(name, chosen, this.#trust.known.get(chosen)?.verified ?? false);
    return this.#nodes(name, [chosen]);
  }

  #forget({ name, uid }: Named): TrustNode[] {
    const { known } = this.#trust;
    const nodes = this.#nodes(
      name,
      known.nodesOf(name).filter((each) => uid === undefined || each === uid),
    );
    if (nodes.length === 0) {
      throw new ConfigError('TRUST_NOTHING', `no such node of ${name} is pinned`, { field: 'name' });
    }
    for (const node of nodes) known.remove(node.uid);
    return nodes;
  }

  async #verify({ name, uid }: Named): Promise<TrustAnswer> {
    const uids = uid === undefined ? this.#allOf(name) : [uid];
    if (uids.length === 0) {
      throw new ConfigError('TRUST_NOTHING', `no node of ${name} was seen yet`, { field: 'name' });
    }
    if (uids.length > MAX_CODES) {
      throw new ConfigError('TRUST_WHICH', `${name} has ${uids.length} nodes; name one by its UID`, {
        field: 'uid',
      });
    }
    const nodes = await this.#withCodes(this.#nodes(name, uids));
    if (this.#shown.size >= MAX_SHOWN) this.#shown.clear();
    for (const each of uids) this.#shown.add(each);
    return this.#answer(nodes);
  }

  async #confirm({ name, uid }: Named): Promise<TrustNode[]> {
    const open = this.#allOf(name).filter((each) => this.#trust.level(each) !== 'verified');
    const chosen = uid ?? this.#theOne(name, open, 'no unverified node of');
    if (uid === undefined && !this.#shown.has(chosen)) {
      throw new ConfigError(
        'TRUST_NOT_SHOWN',
        `the code of node ${chosen} was not shown yet; compare it first: kith trust verify ${name}`,
      );
    }
    this.#pin(name, chosen, true);
    return await this.#withCodes(this.#nodes(name, [chosen]));
  }

  #pin(name: string, uid: Uid, verified: boolean): void {
    const { known, waiting } = this.#trust;
    const before = known.get(uid);
    if (uid === this.#self().uid) {
      throw new ConfigError('TRUST_SELF', `${uid} is this very node`, { field: 'uid' });
    }
    if (before !== undefined && before.jid !== name) {
      throw new ConfigError(
        'TRUST_UID_TAKEN',
        `node ${uid} belongs to ${before.jid}; if that is wrong: kith trust forget ${before.jid} ${uid}`,
        { field: 'uid' },
      );
    }
    if (before !== undefined && before.verified === verified) return;
    const fpr = before?.fpr ?? waiting.get(name, uid)?.fpr ?? null;
    const pin: Pin = { ...before, jid: name, fpr, verified, since: new Date().toISOString() };
    if (!known.put(uid, pin)) {
      throw new ConfigError(
        'TRUST_FULL',
        `${known.size} nodes are pinned, and that is all there is room for`,
      );
    }
  }

  #theOne(name: string, uids: readonly Uid[], none: string): Uid {
    const [only] = uids;
    if (only === undefined) {
      throw new ConfigError('TRUST_NOTHING', `${none} ${name} was seen; name one by its UID`, {
        field: 'name',
      });
    }
    if (uids.length === 1) return only;
    throw new ConfigError(
      'TRUST_WHICH',
      `${name} has ${uids.length}: ${uids.join(', ')}; name the right one by its UID`,
      { field: 'uid' },
    );
  }

  /** A name without a domain is one at this account's own hub. Throws TRUST_NAME. */
  #fullName(name: string): string {
    const { jid } = this.#self();
    const full = (name.includes('@') ? name : `${name}@${jid.slice(jid.indexOf('@') + 1)}`).toLowerCase();
    if (bareJid(full) !== full || !/^[^@\s]+@[^@\s]+$/.test(full)) {
      throw new ConfigError('TRUST_NAME', `${name} is not a name like alice or alice@example.org`, {
        field: 'name',
      });
    }
    return full;
  }

  #allOf(name: string): Uid[] {
    const { known, waiting } = this.#trust;
    return [...new Set([...known.nodesOf(name), ...waiting.of(name).map(({ uid }) => uid)])];
  }

  #all(): TrustNode[] {
    const { known, waiting } = this.#trust;
    const names = new Set([...known.all()].map(([, pin]) => pin.jid));
    for (const { jid } of waiting.all()) names.add(jid);
    return [...names].sort().flatMap((name) => this.#nodes(name, this.#allOf(name)));
  }

  #nodes(name: string, uids: readonly Uid[]): TrustNode[] {
    return uids.map((uid) => {
      const pin = this.#trust.known.get(uid);
      const mine = pin?.jid === name ? pin : undefined;
      return {
        ...{ name, uid, code: null },
        trust: mine === undefined ? 'new' : this.#trust.level(uid),
        fingerprint: mine?.fpr ?? this.#trust.waiting.get(name, uid)?.fpr ?? null,
        since: mine?.since ?? null,
      };
    });
  }

  async #withCodes(nodes: TrustNode[]): Promise<TrustNode[]> {
    const { uid } = this.#self();
    if (uid === undefined) {
      throw new SystemError('TRUST_NO_KEY', 'tincan, which holds the key of this node, has not answered yet');
    }
    return Promise.all(nodes.map(async (node) => ({ ...node, code: await trustCode(uid, node.uid) })));
  }

  async #changedTo(nodes: TrustNode[]): Promise<TrustAnswer> {
    const { known } = this.#trust;
    this.#changed();
    await known.saved();
    if (known.problem !== null) {
      throw new SystemError('TRUST_NOT_SAVED', `done, but not kept beyond a restart: ${known.problem}`);
    }
    return this.#answer(nodes);
  }

  #answer(nodes: TrustNode[]): TrustAnswer {
    const { jid, uid, fpr } = this.#self();
    return {
      ...{ schema: 1, mode: this.#trust.mode, nodes },
      self: { name: jid, uid: uid ?? null, fingerprint: fpr ?? null },
    };
  }
}
