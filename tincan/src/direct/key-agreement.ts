import { PeerError } from '@kith/base';
import type { DirectAnswer, DirectControl, DirectOffer, Uid } from '@kith/protocol';
import { type DirectionKeys, deriveKeys, generateKeyPair, type KeyPair, wipeKeys } from './key-schedule.ts';

/** Time from a receiving key's first datagram until its receiver offers the next: it is replaced within 120 s (WireGuard's REKEY-AFTER-TIME). */
export const REKEY_AFTER_MS = 100_000;
/** Drawn on top of it, so that a node's links do not all rekey in one instant. */
export const REKEY_JITTER_MS = 15_000;
/** So long after its first datagram a key is used no more, whoever failed to replace it (WireGuard's REJECT-AFTER-TIME). */
export const KEY_LIFE_MS = 180_000;
/**
 * The same two for a key that has not protected anything. Nothing is gained by replacing it, and the four messages each way were a third
 * of what a link without traffic cost; an hour bounds how long it lies in memory.
 */
export const UNUSED_REKEY_AFTER_MS = 3_600_000;
const UNUSED_KEY_LIFE_MS = UNUSED_REKEY_AFTER_MS + KEY_LIFE_MS;
/**
 * The receiver may not know that its key is in use: all that was sealed with it was lost. A sender who has heard of no other key so long
 * after the first datagram says again that it uses this one, and again at each of these intervals.
 */
const REMIND_AFTER_MS = REKEY_AFTER_MS + REKEY_JITTER_MS + 5_000;
const REMIND_EACH_MS = 20_000;
/** Datagrams of one key after which its receiver offers the next; twice as many end its life. */
export const REKEY_AFTER_DATAGRAMS = 2 ** 29;
/** How long an old receiving key outlives the peer's word that it has switched: what is still on its way may take that long. */
export const RETIRE_AFTER_MS = 10_000;
/** The control channel is reliable, so an offer without answer means a peer that cannot answer now. */
export const OFFER_RETRY_MS = 10_000;

/** Receiving keys at one time: the current one, the one before it, and one that is being agreed upon. */
const MAX_RECEIVERS = 3;

/** An answer costs some 0.2 ms of X25519. An honest peer offers once per 10 s at most; these are what a link may use up. */
const OFFERS_BURST = 4;
const OFFER_REFILL_MS = 2_000;

export interface KeyAgreementOptions {
  me: Uid;
  peer: Uid;
  attempt: number;
  /** This end is content with datagrams that are not encrypted. */
  plain: boolean;
  /** This end's processor has AES instructions. */
  aes: boolean;
  /** 0 ≤ x < 1 */
  random: () => number;
}

export interface KeyEpoch {
  epoch: number;
  index: number;
  /** The callee wipes them when it needs them no more. */
  keys: DirectionKeys;
}

/** What the machine wants done. */
export interface KeyAgreementActions {
  send(message: DirectControl): void;
  /** A receiver index, unique in this node, taken until `release`. */
  reserve(): number;
  release(index: number): void;
  /** Datagrams with this index may come from now on. */
  install(epoch: KeyEpoch): void;
  /** Ends what `install` began; `release` follows. */
  remove(index: number): void;
  /** All that is sent from now on uses this key. */
  use(epoch: KeyEpoch): void;
  /** The sending key is too old or used up: nothing may be sent with it. */
  stop(): void;
}

interface Receiver {
  epoch: number;
  index: number;
  installedAt: number;
  /** The peer has said that it uses it. */
  isTaken: boolean;
  /** It has opened something. */
  isUsed: boolean;
  endsAt: number;
  /** Set once the peer has switched to a later one. */
  removeAt: number;
}

/** Pure but for its random numbers: agrees on keys for both directions of a link and replaces them in flight. Times in ms. */
export class KeyAgreement {
  readonly #options: KeyAgreementOptions;
  readonly #actions: KeyAgreementActions;
  /** Oldest first. */
  #receivers: Receiver[] = [];
  #offer: { epoch: number; index: number; pair: KeyPair; at: number } | undefined;
  #lastOffered = 0;
  #rekeyAt = Number.POSITIVE_INFINITY;
  /** What the peer offered and we answered, until the peer is ready. */
  #answered: KeyEpoch | undefined;
  #answeredPlain = false;
  #lastAnswered = 0;
  /** When the sending key ends; undefined: there is none. */
  #sendingUntil: number | undefined;
  #sendingEpoch = 0;
  #hasSent = false;
  /** When the peer is told again which key is in use. */
  #remindAt = Number.POSITIVE_INFINITY;
  #offerTokens = OFFERS_BURST;
  #tokensAt: number;
  #plain: boolean | null = null;
  refusedOffers = 0;

  constructor(options: KeyAgreementOptions, actions: KeyAgreementActions, now: number) {
    this.#options = options;
    this.#actions = actions;
    this.#tokensAt = now;
  }

  /** Whether what is sent is plain; null while nothing can be sent. */
  get plain(): boolean | null {
    return this.#sendingUntil === undefined ? null : this.#plain;
  }

  /** Offers the first epoch of our direction. */
  start(now: number): void {
    this.#makeOffer(now);
  }

  /** @throws PeerError for a message that breaks the protocol; the agreement stays as it was. */
  receive(message: Exclude<DirectControl, { t: 'direct_candidates' }>, now: number): void {
    switch (message.t) {
      case 'direct_offer':
        this.#answer(message, now);
        break;
      case 'direct_answer':
        this.#install(message, now);
        break;
      case 'direct_ready':
        this.#switch(message.epoch, now);
        break;
      case 'direct_using':
        this.#peerSwitched(message.epoch, now);
        break;
    }
  }

  /**
   * @param received datagrams that came with the current receiving key
   * @param sent datagrams sealed with the current sending key
   */
  tick(now: number, received: number, sent: number): void {
    this.#noteUse(now, received > 0, sent > 0);
    for (const receiver of [...this.#receivers]) {
      if (now >= Math.min(receiver.removeAt, receiver.endsAt)) this.#drop(receiver);
    }
    if (this.#offer !== undefined) {
      if (now - this.#offer.at >= OFFER_RETRY_MS) this.#makeOffer(now);
    } else if (now >= this.#rekeyAt || received >= REKEY_AFTER_DATAGRAMS) {
      this.#makeOffer(now);
    }
    if (this.#sendingUntil === undefined) return;
    if (now >= this.#sendingUntil || sent >= 2 * REKEY_AFTER_DATAGRAMS) {
      this.#sendingUntil = undefined;
      this.#remindAt = Number.POSITIVE_INFINITY;
      this.#actions.stop();
    } else if (now >= this.#remindAt) {
      this.#remindAt = now + REMIND_EACH_MS;
      this.#actions.send({ t: 'direct_using', epoch: this.#sendingEpoch });
    }
  }

  /** A key's time begins when it protects something. */
  #noteUse(now: number, hasReceived: boolean, hasSent: boolean): void {
    const current = this.#receivers.at(-1);
    if (current !== undefined && hasReceived && !current.isUsed) {
      current.isUsed = true;
      current.endsAt = Math.min(current.endsAt, now + KEY_LIFE_MS);
      // While the next is being agreed upon none is due.
      if (this.#offer === undefined)
        this.#rekeyAt = Math.min(this.#rekeyAt, this.#rekeyTime(now, REKEY_AFTER_MS));
    }
    if (this.#sendingUntil === undefined || !hasSent || this.#hasSent) return;
    this.#hasSent = true;
    this.#sendingUntil = Math.min(this.#sendingUntil, now + KEY_LIFE_MS);
    this.#remindAt = now + REMIND_AFTER_MS;
  }

  #rekeyTime(now: number, after: number): number {
    return now + after + this.#options.random() * REKEY_JITTER_MS;
  }

  /** When `tick` has something to do by the clock alone. */
  get dueAt(): number {
    let due = this.#offer === undefined ? this.#rekeyAt : this.#offer.at + OFFER_RETRY_MS;
    for (const { removeAt, endsAt } of this.#receivers) due = Math.min(due, removeAt, endsAt);
    return this.#sendingUntil === undefined ? due : Math.min(due, this.#sendingUntil, this.#remindAt);
  }

  /** Removes every key. */
  close(): void {
    this.#forgetOffer();
    for (const receiver of [...this.#receivers]) this.#drop(receiver);
    if (this.#answered !== undefined) wipeKeys(this.#answered.keys);
    this.#answered = undefined;
    if (this.#sendingUntil !== undefined) this.#actions.stop();
    this.#sendingUntil = undefined;
  }

  #makeOffer(now: number): void {
    this.#forgetOffer();
    this.#rekeyAt = Number.POSITIVE_INFINITY;
    const offer = {
      epoch: ++this.#lastOffered,
      index: this.#actions.reserve(),
      pair: generateKeyPair(),
      at: now,
    };
    this.#offer = offer;
    const { plain, aes } = this.#options;
    const { epoch, index } = offer;
    this.#actions.send({ t: 'direct_offer', epoch, index, key: offer.pair.publicKey, plain, aes });
  }

  #forgetOffer(): void {
    if (this.#offer !== undefined) this.#actions.release(this.#offer.index);
    this.#offer = undefined;
  }

  /** We are the sender of this direction. */
  #answer(offer: DirectOffer, now: number): void {
    if (!this.#mayAnswer(now)) {
      this.refusedOffers++;
      return;
    }
    if (offer.epoch <= this.#lastAnswered) throw outOfTurn(offer.t, offer.epoch);
    const { me, peer, plain, aes } = this.#options;
    const pair = generateKeyPair();
    const keys = this.#derive(pair, offer.key, {
      epoch: offer.epoch,
      receiver: peer,
      sender: me,
      receiverKey: offer.key,
      senderKey: pair.publicKey,
      theirs: offer,
    });
    this.#lastAnswered = offer.epoch;
    if (this.#answered !== undefined) wipeKeys(this.#answered.keys);
    this.#answered = { epoch: offer.epoch, index: offer.index, keys };
    this.#answeredPlain = plain && offer.plain;
    this.#actions.send({ t: 'direct_answer', epoch: offer.epoch, key: pair.publicKey, plain, aes });
  }

  /** We are the receiver of this direction. */
  #install(answer: DirectAnswer, now: number): void {
    const offer = this.#offer;
    // An answer to an offer that we have given up: the next one is on its way.
    if (offer !== undefined && answer.epoch < offer.epoch) return;
    if (offer === undefined || answer.epoch !== offer.epoch) throw outOfTurn(answer.t, answer.epoch);
    const { me, peer } = this.#options;
    const keys = this.#derive(offer.pair, answer.key, {
      epoch: offer.epoch,
      receiver: me,
      sender: peer,
      receiverKey: offer.pair.publicKey,
      senderKey: answer.key,
      theirs: answer,
    });
    this.#offer = undefined;
    const oldest = this.#receivers[0];
    if (this.#receivers.length >= MAX_RECEIVERS && oldest !== undefined) this.#drop(oldest);
    const { epoch, index } = offer;
    const lives = { installedAt: now, endsAt: now + UNUSED_KEY_LIFE_MS, removeAt: Number.POSITIVE_INFINITY };
    this.#receivers.push({ epoch, index, ...lives, isTaken: false, isUsed: false });
    this.#rekeyAt = this.#rekeyTime(now, UNUSED_REKEY_AFTER_MS);
    this.#actions.install({ epoch, index, keys });
    this.#actions.send({ t: 'direct_ready', epoch });
  }

  #switch(epoch: number, now: number): void {
    const answered = this.#answered;
    // The peer may have been ready for an epoch before it offered another; that one follows.
    if (epoch < this.#lastAnswered) return;
    if (answered === undefined || answered.epoch !== epoch) throw outOfTurn('direct_ready', epoch);
    this.#answered = undefined;
    this.#plain = this.#answeredPlain;
    this.#sendingUntil = now + UNUSED_KEY_LIFE_MS;
    this.#sendingEpoch = epoch;
    this.#hasSent = false;
    this.#remindAt = Number.POSITIVE_INFINITY;
    this.#actions.use(answered);
    this.#actions.send({ t: 'direct_using', epoch });
  }

  #peerSwitched(epoch: number, now: number): void {
    const current = this.#receivers.at(-1);
    if (current?.epoch === epoch) {
      // A reminder. A key that is young is none that anybody needs to be reminded of.
      const isDue = current.isTaken && now - current.installedAt >= REKEY_AFTER_MS;
      if (isDue && this.#offer === undefined) this.#rekeyAt = Math.min(this.#rekeyAt, now);
      current.isTaken = true;
    }
    for (const receiver of this.#receivers) {
      if (receiver.epoch < epoch) receiver.removeAt = Math.min(receiver.removeAt, now + RETIRE_AFTER_MS);
    }
  }

  #drop(receiver: Receiver): void {
    this.#receivers = this.#receivers.filter((other) => other !== receiver);
    this.#actions.remove(receiver.index);
    this.#actions.release(receiver.index);
    // With no key left, nothing else would start the next epoch.
    if (this.#receivers.length === 0 && this.#offer === undefined) this.#rekeyAt = Number.NEGATIVE_INFINITY;
  }

  #mayAnswer(now: number): boolean {
    const refill = (now - this.#tokensAt) / OFFER_REFILL_MS;
    this.#offerTokens = Math.min(OFFERS_BURST, this.#offerTokens + refill);
    this.#tokensAt = now;
    if (this.#offerTokens < 1) return false;
    this.#offerTokens--;
    return true;
  }

  #derive(
    pair: KeyPair,
    peerKey: string,
    about: {
      epoch: number;
      receiver: Uid;
      sender: Uid;
      receiverKey: string;
      senderKey: string;
      theirs: { plain: boolean; aes: boolean };
    },
  ): DirectionKeys {
    const { attempt, plain, aes } = this.#options;
    const { theirs, ...names } = about;
    const secret = pair.agree(peerKey);
    try {
      // Either end that wants encryption gets it, and either end without AES instructions gets the cipher that needs none.
      return deriveKeys(secret, {
        ...names,
        attempt,
        plain: plain && theirs.plain,
        cipher: aes && theirs.aes ? 'aes-256-gcm' : 'chacha20-poly1305',
      });
    } finally {
      secret.fill(0);
    }
  }
}

function outOfTurn(type: string, epoch: number): PeerError {
  return new PeerError('DIRECT_OUT_OF_TURN', `${type} speaks of epoch ${epoch}, which is not due`, {
    field: 'epoch',
  });
}
