import { createHash } from 'node:crypto';
import type { DirectControl, DirectOffer } from '@kith/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  KEY_LIFE_MS,
  KeyAgreement,
  OFFER_RETRY_MS,
  REKEY_AFTER_DATAGRAMS,
  REKEY_AFTER_MS,
  REKEY_JITTER_MS,
  RETIRE_AFTER_MS,
  UNUSED_REKEY_AFTER_MS,
} from './key-agreement.ts';
import { type DirectionKeys, deriveKeys, generateKeyPair, wipeKeys } from './key-schedule.ts';
import { seeded } from './simulated-network.test.helper.ts';

type KeyMessage = Exclude<DirectControl, { t: 'direct_candidates' }>;

const UIDS = ['a'.repeat(40), 'b'.repeat(40)] as const;

function digest(keys: DirectionKeys): string {
  const hash = createHash('sha256');
  if (keys.data.mode === 'plain') hash.update('plain').update(keys.data.tag);
  else hash.update(keys.data.cipher).update(keys.data.key).update(keys.data.fixedIv);
  return hash.update(keys.probe.key).update(keys.probe.fixedIv).digest('hex');
}

/** One end, with what the data plane would have. */
class Side {
  readonly agreement: KeyAgreement;
  readonly receivers = new Map<number, string>();
  readonly reserved = new Set<number>();
  sender: { index: number; keys: string; epoch: number; plain: boolean; cipher: string } | undefined;
  /** Called for each change of the sending key. */
  onUse: () => void = () => {};
  #nextIndex: number;

  constructor(
    which: 0 | 1,
    terms: { plain: boolean; aes: boolean },
    random: () => number,
    send: (message: KeyMessage) => void,
    now: number,
  ) {
    this.#nextIndex = 1_000 * (which + 1);
    this.agreement = new KeyAgreement(
      { me: UIDS[which], peer: UIDS[which === 0 ? 1 : 0], attempt: 3, ...terms, random },
      {
        send: (message) => {
          if (message.t !== 'direct_candidates') send(message);
        },
        reserve: () => {
          this.reserved.add(this.#nextIndex);
          return this.#nextIndex++;
        },
        release: (index) => expect(this.reserved.delete(index)).toBe(true),
        install: ({ index, keys }) => {
          expect(this.reserved.has(index)).toBe(true);
          this.receivers.set(index, digest(keys));
        },
        remove: (index) => expect(this.receivers.delete(index)).toBe(true),
        use: ({ index, keys, epoch }) => {
          const { data } = keys;
          this.sender = {
            index,
            keys: digest(keys),
            epoch,
            plain: data.mode === 'plain',
            cipher: data.mode === 'plain' ? '' : data.cipher,
          };
          this.onUse();
        },
        stop: () => {
          this.sender = undefined;
        },
      },
      now,
    );
  }
}

/** Two sides joined by an ordered, reliable channel with delay; the clock is the caller's. */
class Pair {
  now = 0;
  readonly sides: [Side, Side];
  readonly wires: [{ at: number; message: KeyMessage }[], { at: number; message: KeyMessage }[]] = [[], []];
  delay: () => number = () => 20;
  readonly sent: KeyMessage[] = [];
  /** Datagrams that each key has protected. */
  flow = 1;
  /** What was sealed is lost on its way. */
  isLossy = false;

  constructor(terms: [{ plain: boolean; aes: boolean }, { plain: boolean; aes: boolean }], seed = 1) {
    const random = seeded(seed);
    const post = (to: 0 | 1) => (message: KeyMessage) => {
      this.sent.push(message);
      const last = this.wires[to].at(-1)?.at ?? 0;
      this.wires[to].push({ at: Math.max(last, this.now + this.delay()), message });
    };
    this.sides = [new Side(0, terms[0], random, post(1), 0), new Side(1, terms[1], random, post(0), 0)];
  }

  start(): void {
    for (const side of this.sides) side.agreement.start(this.now);
  }

  run(until: number, observe: () => void = () => {}): void {
    while (this.now < until) {
      this.now += 20;
      for (const end of [0, 1] as const) {
        while ((this.wires[end][0]?.at ?? Number.POSITIVE_INFINITY) <= this.now) {
          const next = this.wires[end].shift();
          if (next !== undefined) this.sides[end].agreement.receive(next.message, this.now);
        }
        this.sides[end].agreement.tick(this.now, this.isLossy ? 0 : this.flow, this.flow);
      }
      observe();
    }
  }
}

const sealed = { plain: false, aes: true };

/** What a side sends can be opened by the other. */
function isAgreed(from: Side, to: Side): boolean {
  return from.sender !== undefined && to.receivers.get(from.sender.index) === from.sender.keys;
}

test('two ends that start at once agree on both directions within three messages each way', () => {
  const pair = new Pair([sealed, sealed]);
  pair.start();
  pair.run(200);
  const [a, b] = pair.sides;
  expect(isAgreed(a, b)).toBe(true);
  expect(isAgreed(b, a)).toBe(true);
  expect(a.sender?.keys).not.toBe(b.sender?.keys);
});

test.each([
  [true, true, true],
  [true, false, false],
  [false, true, false],
  [false, false, false],
])('plain is agreed only when both ends are content: %s and %s give %s', (one, other, plain) => {
  const pair = new Pair([
    { plain: one, aes: true },
    { plain: other, aes: true },
  ]);
  pair.start();
  pair.run(200);
  for (const side of pair.sides) {
    expect(side.sender?.plain).toBe(plain);
    expect(side.agreement.plain).toBe(plain);
  }
  expect(isAgreed(...pair.sides)).toBe(true);
});

test('either end without AES instructions makes both directions ChaCha20-Poly1305', () => {
  for (const [one, other, cipher] of [
    [true, true, 'aes-256-gcm'],
    [true, false, 'chacha20-poly1305'],
    [false, true, 'chacha20-poly1305'],
  ] as const) {
    const pair = new Pair([
      { plain: false, aes: one },
      { plain: false, aes: other },
    ]);
    pair.start();
    pair.run(200);
    expect(pair.sides.map((side) => side.sender?.cipher)).toEqual([cipher, cipher]);
  }
});

test('keys are replaced within 120 s for as long as the link lasts, and whatever is sent can always be opened', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 3_000 }), (seed, slowest) => {
      const pair = new Pair([sealed, sealed], seed);
      const random = seeded(seed + 1);
      pair.delay = () => random() * slowest;
      const usedAt: [number, number] = [0, 0];
      const [a, b] = pair.sides;
      a.onUse = () => {
        usedAt[0] = pair.now;
      };
      b.onUse = () => {
        usedAt[1] = pair.now;
      };
      /** Datagrams under way, with the key that they need, for up to RETIRE_AFTER_MS. */
      pair.start();
      pair.run(4 * slowest + 100);
      const flights: { at: number; to: Side; index: number; keys: string }[] = [];
      pair.run(360_000, () => {
        for (const [from, to] of [
          [a, b],
          [b, a],
        ] as const) {
          expect(isAgreed(from, to)).toBe(true);
          if (pair.now % 1_000 === 0 && from.sender !== undefined) {
            flights.push({ at: pair.now + 5_000, to, index: from.sender.index, keys: from.sender.keys });
          }
        }
        while ((flights[0]?.at ?? Number.POSITIVE_INFINITY) <= pair.now) {
          const flight = flights.shift();
          expect(flight?.to.receivers.get(flight.index)).toBe(flight?.keys);
        }
        for (const at of usedAt)
          expect(pair.now - at).toBeLessThan(REKEY_AFTER_MS + REKEY_JITTER_MS + 3 * slowest + 100);
        expect(a.receivers.size).toBeLessThanOrEqual(2);
      });
      expect(a.sender?.epoch).toBeGreaterThanOrEqual(3);
      for (const side of pair.sides) side.agreement.close();
      for (const side of pair.sides) {
        expect([side.receivers.size, side.reserved.size, side.sender]).toEqual([0, 0, undefined]);
      }
    }),
    { numRuns: 3 },
  );
});

test('the old receiving key goes some seconds after the peer has switched, not before', () => {
  const pair = new Pair([sealed, sealed]);
  pair.start();
  pair.run(1_000);
  const [a, b] = pair.sides;
  const first = b.sender?.index ?? 0;
  pair.run(REKEY_AFTER_MS + REKEY_JITTER_MS + 1_000);
  const second = b.sender?.index ?? 0;
  expect(second).not.toBe(first);
  expect(a.receivers.has(second)).toBe(true);
  pair.run(pair.now + RETIRE_AFTER_MS + REKEY_JITTER_MS);
  expect([...a.receivers.keys()]).toEqual([second]);
});

test('a key that has protected nothing stays, and its time begins with its first datagram', () => {
  const pair = new Pair([sealed, sealed]);
  pair.flow = 0;
  pair.start();
  pair.run(KEY_LIFE_MS + 60_000);
  const [a, b] = pair.sides;
  expect([a.sender?.epoch, b.sender?.epoch]).toEqual([1, 1]);
  expect(isAgreed(a, b) && isAgreed(b, a)).toBe(true);
  pair.flow = 1;
  pair.run(pair.now + REKEY_AFTER_MS);
  expect([a.sender?.epoch, b.sender?.epoch]).toEqual([1, 1]);
  pair.run(pair.now + REKEY_JITTER_MS + 1_000);
  expect([a.sender?.epoch, b.sender?.epoch]).toEqual([2, 2]);
  expect(isAgreed(a, b) && isAgreed(b, a)).toBe(true);
});

test('a key of which nothing arrived is replaced within its life all the same', () => {
  const pair = new Pair([sealed, sealed]);
  pair.isLossy = true;
  pair.start();
  const epochs: number[] = [];
  pair.run(2 * KEY_LIFE_MS, () => {
    for (const side of pair.sides) if (pair.now > 1_000) epochs.push(side.sender?.epoch ?? 0);
  });
  expect(Math.min(...epochs)).toBe(1);
  expect(Math.max(...epochs)).toBeGreaterThanOrEqual(3);
  expect(isAgreed(...pair.sides)).toBe(true);
});

test('a peer that says again and again that it uses a key makes nobody work', () => {
  const pair = new Pair([sealed, sealed]);
  pair.flow = 0;
  pair.start();
  pair.run(1_000);
  const [a] = pair.sides;
  const before = pair.sent.length;
  for (let count = 0; count < 1_000; count++) a.agreement.receive({ t: 'direct_using', epoch: 1 }, pair.now);
  pair.run(2_000);
  expect(pair.sent.length).toBe(before);
});

test('even an unused key is replaced after an hour', () => {
  const pair = new Pair([sealed, sealed]);
  pair.flow = 0;
  pair.start();
  pair.run(UNUSED_REKEY_AFTER_MS);
  expect(pair.sides.map(({ sender }) => sender?.epoch)).toEqual([1, 1]);
  pair.run(pair.now + REKEY_JITTER_MS + 1_000);
  expect(pair.sides.map(({ sender }) => sender?.epoch)).toEqual([2, 2]);
});

test('many datagrams bring the next epoch forward', () => {
  const pair = new Pair([sealed, sealed]);
  pair.start();
  pair.run(1_000);
  pair.sides[0].agreement.tick(pair.now, REKEY_AFTER_DATAGRAMS, 0);
  pair.run(1_200);
  expect(pair.sides[1].sender?.epoch).toBe(2);
  expect(pair.sides[0].sender?.epoch).toBe(1);
});

test('a peer that stops answering: the key dies at its end of life, offers go on, and an answer mends it', () => {
  const pair = new Pair([sealed, sealed]);
  pair.start();
  pair.run(1_000);
  const [a, b] = pair.sides;
  pair.delay = () => 1_000_000;
  pair.run(KEY_LIFE_MS + 2_000);
  expect(a.sender).toBeUndefined();
  expect(a.receivers.size + b.receivers.size).toBe(0);
  const offers = pair.sent.filter(({ t }) => t === 'direct_offer').length;
  expect(offers).toBeGreaterThan(10);
  // The channel lives again; what was held back is gone with it.
  pair.wires[0].length = 0;
  pair.wires[1].length = 0;
  pair.delay = () => 20;
  pair.run(pair.now + OFFER_RETRY_MS + 1_000);
  expect(isAgreed(a, b) && isAgreed(b, a)).toBe(true);
});

test('messages out of turn, replayed or with a worthless key change nothing', () => {
  const pair = new Pair([sealed, sealed]);
  pair.start();
  pair.run(1_000);
  const [a, b] = pair.sides;
  const before = [a.sender?.keys, [...a.receivers]];
  const offer = pair.sent.find((message): message is DirectOffer => message.t === 'direct_offer');
  // A public key of zeros gives the all-zero secret (RFC 7748 §6.1).
  const zero: DirectOffer = {
    t: 'direct_offer',
    epoch: 9,
    index: 1,
    key: 'A'.repeat(43),
    plain: false,
    aes: true,
  };
  const bad: KeyMessage[] = [
    ...(offer === undefined ? [] : [offer]),
    zero,
    { t: 'direct_answer', epoch: 7, key: zero.key, plain: false, aes: true },
    { t: 'direct_ready', epoch: 12 },
  ];
  for (const message of bad) {
    expect(() => a.agreement.receive(message, pair.now)).toThrow(expect.objectContaining({ fault: 'peer' }));
  }
  expect([a.sender?.keys, [...a.receivers]]).toEqual(before);
  expect(isAgreed(b, a)).toBe(true);
});

test('a flood of offers is answered a few times, not each time', () => {
  const pair = new Pair([sealed, sealed]);
  const [a] = pair.sides;
  const { publicKey } = generateKeyPair();
  for (let epoch = 1; epoch <= 500; epoch++) {
    a.agreement.receive(
      { t: 'direct_offer', epoch, index: epoch, key: publicKey, plain: false, aes: true },
      5,
    );
  }
  expect(pair.sent.length).toBeLessThanOrEqual(4);
  expect(a.agreement.refusedOffers).toBe(496);
});

test('whatever order messages come in, nothing but a PeerError is thrown and indices are accounted for', () => {
  const epoch = fc.integer({ min: 1, max: 4 });
  const key = fc.constantFrom(generateKeyPair().publicKey, generateKeyPair().publicKey, 'A'.repeat(43));
  const message: fc.Arbitrary<KeyMessage> = fc.oneof(
    fc.record({
      t: fc.constant('direct_offer' as const),
      epoch,
      index: fc.integer({ min: 1, max: 9 }),
      key,
      plain: fc.boolean(),
      aes: fc.boolean(),
    }),
    fc.record({
      t: fc.constant('direct_answer' as const),
      epoch,
      key,
      plain: fc.boolean(),
      aes: fc.boolean(),
    }),
    fc.record({ t: fc.constant('direct_ready' as const), epoch }),
    fc.record({ t: fc.constant('direct_using' as const), epoch }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(message, fc.integer({ min: 0, max: 60_000 })), { maxLength: 30 }),
      (steps) => {
        const pair = new Pair([sealed, sealed]);
        const [a] = pair.sides;
        let now = 0;
        a.agreement.start(now);
        for (const [each, wait] of steps) {
          now += wait;
          a.agreement.tick(now, 0, 0);
          try {
            a.agreement.receive(each, now);
          } catch (error) {
            expect(error).toMatchObject({ fault: 'peer' });
          }
          expect(a.receivers.size).toBeLessThanOrEqual(3);
          expect(a.reserved.size).toBeLessThanOrEqual(4);
        }
        a.agreement.close();
        expect(a.reserved.size + a.receivers.size).toBe(0);
      },
    ),
  );
});

test('keys differ by every part of their context, and wiping leaves zeros', () => {
  const secret = Buffer.alloc(32, 7);
  const context = {
    attempt: 1,
    epoch: 1,
    receiver: UIDS[0],
    sender: UIDS[1],
    receiverKey: 'R',
    senderKey: 'S',
    plain: false,
    cipher: 'aes-256-gcm' as const,
  };
  const variants = [
    {},
    { attempt: 2 },
    { epoch: 2 },
    { receiver: UIDS[1], sender: UIDS[0] },
    { receiverKey: 'X' },
    { senderKey: 'X' },
    { cipher: 'chacha20-poly1305' as const },
    { plain: true },
  ];
  const seen = variants.map((change) => {
    const keys = deriveKeys(secret, { ...context, ...change });
    return Buffer.from(keys.probe.key).toString('hex');
  });
  expect(new Set(seen).size).toBe(variants.length);
  const keys = deriveKeys(secret, context);
  wipeKeys(keys);
  expect(keys.probe.key.every((byte) => byte === 0)).toBe(true);
  expect(keys.data.mode === 'sealed' && keys.data.key.every((byte) => byte === 0)).toBe(true);
});
