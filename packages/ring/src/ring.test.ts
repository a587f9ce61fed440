import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRing, RingConsumer, RingProducer } from './index.ts';

interface Model {
  pending: { payload: number[]; tag: number }[];
  published: { payload: number[]; tag: number }[];
}
interface Real {
  producer: RingProducer;
  consumer: RingConsumer;
}

function payload(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (seed + index * 7) & 0xff);
}

function record(length: number, seed: number): { payload: number[]; tag: number } {
  return { payload: [...payload(length, seed)], tag: Math.imul(seed, 0x9e3779b1) >>> 0 };
}

/** Reserves more than it commits, as a read(2) of unknown length does. */
class Write implements fc.Command<Model, Real> {
  readonly length: number;
  readonly slack: number;
  readonly seed: number;
  constructor(length: number, slack: number, seed: number) {
    this.length = length;
    this.slack = slack;
    this.seed = seed;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, { producer }: Real): void {
    const wanted = record(this.length, this.seed);
    const before = producer.rejected;
    const at = producer.reserve(Math.min(this.length + this.slack, producer.maxPayload));
    if (at < 0) {
      expect(producer.rejected).toBe(before + 1);
      return;
    }
    producer.bytes.set(wanted.payload, at);
    producer.commit(this.length, wanted.tag);
    model.pending.push(wanted);
  }
  toString(): string {
    return `write(${this.length}+${this.slack})`;
  }
}

class Push implements fc.Command<Model, Real> {
  readonly length: number;
  readonly offset: number;
  readonly seed: number;
  constructor(length: number, offset: number, seed: number) {
    this.length = length;
    this.offset = offset;
    this.seed = seed;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, { producer }: Real): void {
    const wanted = record(this.length, this.seed);
    const around = new Uint8Array(this.offset + this.length + 3).fill(0xee);
    around.set(wanted.payload, this.offset);
    if (producer.push(around, this.offset, this.length, wanted.tag)) model.pending.push(wanted);
  }
  toString(): string {
    return `push(${this.length}@${this.offset})`;
  }
}

class ForgetReservation implements fc.Command<Model, Real> {
  readonly length: number;
  constructor(length: number) {
    this.length = length;
  }
  check(): boolean {
    return true;
  }
  run(_model: Model, { producer }: Real): void {
    producer.reserve(this.length);
  }
  toString(): string {
    return `forget(${this.length})`;
  }
}

class Publish implements fc.Command<Model, Real> {
  check(): boolean {
    return true;
  }
  run(model: Model, { producer }: Real): void {
    // Nobody announced a sleep.
    expect(producer.publish()).toBe(false);
    model.published.push(...model.pending.splice(0));
  }
  toString(): string {
    return 'publish';
  }
}

class Read implements fc.Command<Model, Real> {
  check(): boolean {
    return true;
  }
  run(model: Model, { consumer }: Real): void {
    const wanted = model.published.shift();
    expect(consumer.peek()).toBe(wanted !== undefined);
    if (wanted === undefined) return;
    expect(consumer.tag).toBe(wanted.tag);
    expect([...consumer.bytes.subarray(consumer.offset, consumer.offset + consumer.length)]).toEqual(
      wanted.payload,
    );
    expect(consumer.offset % 8).toBe(0);
    consumer.release();
  }
  toString(): string {
    return 'read';
  }
}

class Flush implements fc.Command<Model, Real> {
  check(): boolean {
    return true;
  }
  run(_model: Model, { consumer }: Real): void {
    consumer.flush();
  }
  toString(): string {
    return 'flush';
  }
}

/** After draining and flushing everything, the largest record fits, wherever the indices stand. */
class DrainThenFill implements fc.Command<Model, Real> {
  check(): boolean {
    return true;
  }
  run(model: Model, { producer, consumer }: Real): void {
    producer.publish();
    model.published.push(...model.pending.splice(0));
    while (model.published.length > 0) new Read().run(model, { producer, consumer });
    consumer.flush();
    expect(producer.reserve(producer.maxPayload)).toBeGreaterThanOrEqual(0);
  }
  toString(): string {
    return 'drain-fill';
  }
}

test('behaves like a plain queue under any mix of calls, wrap-around included', () => {
  const size = fc.integer({ min: 0, max: 56 });
  const seed = fc.nat(0xffff);
  const commands = [
    fc.tuple(size, fc.integer({ min: 0, max: 40 }), seed).map(([l, s, x]) => new Write(l, s, x)),
    fc.tuple(size, fc.nat(9), seed).map(([l, o, x]) => new Push(l, o, x)),
    size.map((length) => new ForgetReservation(length)),
    fc.constant(new Publish()),
    fc.constant(new Read()),
    fc.constant(new Read()),
    fc.constant(new Flush()),
    fc.constant(new DrainThenFill()),
  ];
  fc.assert(
    fc.property(
      fc.commands(commands, { maxCommands: 300, size: 'max' }),
      fc.constantFrom<'shared' | 'plain'>('shared', 'plain'),
      fc.constantFrom(128, 256, 1024),
      // Indices start at zero, or just before they wrap as signed or as unsigned 32-bit integers.
      fc.constantFrom(0, 0x7fff_ffc0, 0xffff_ffc0),
      (cmds, kind, capacity, start) => {
        const memory = createRing(capacity, kind);
        const control = new Int32Array(memory, 0, 64);
        control[0] = start;
        control[32] = start;
        const setup = () => ({
          model: { pending: [], published: [] },
          real: { producer: new RingProducer(memory), consumer: new RingConsumer(memory) },
        });
        fc.modelRun(setup, cmds);
      },
    ),
    { numRuns: 300 },
  );
});

test('records are invisible until they are published', () => {
  const memory = createRing(256);
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  producer.push(payload(5, 1), 0, 5, 9);
  expect(consumer.peek()).toBe(false);
  producer.publish();
  expect(consumer.peek()).toBe(true);
  expect([consumer.length, consumer.tag]).toEqual([5, 9]);
});

test('a full ring refuses, counts, and takes records again after a flush', () => {
  const memory = createRing(64);
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  for (let index = 0; index < 4; index++) expect(producer.push(payload(8, index), 0, 8, index)).toBe(true);
  expect(producer.push(payload(8, 4), 0, 8, 4)).toBe(false);
  expect(producer.rejected).toBe(1);
  producer.publish();
  expect(consumer.peek()).toBe(true);
  consumer.release();
  consumer.flush();
  expect(producer.push(payload(8, 4), 0, 8, 4)).toBe(true);
});

test('a long run of releases gives room back without a flush', () => {
  const memory = createRing(1024);
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  while (producer.push(payload(8, 1), 0, 8, 1));
  producer.publish();
  for (let count = 0; count < 16; count++) {
    expect(consumer.peek()).toBe(true);
    consumer.release();
  }
  expect(producer.push(payload(8, 1), 0, 8, 1)).toBe(true);
});

test('only the first publish after a sleep asks for a wake-up', () => {
  const memory = createRing(256);
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  expect(consumer.announceSleep()).toBe(true);
  producer.push(payload(1, 1), 0, 1, 1);
  expect(producer.publish()).toBe(true);
  producer.push(payload(1, 2), 0, 1, 2);
  expect(producer.publish()).toBe(false);
  expect(producer.publish()).toBe(false);
});

test('a consumer with work in front of it may not sleep', () => {
  const memory = createRing(256);
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  producer.push(payload(1, 1), 0, 1, 1);
  producer.publish();
  expect(consumer.announceSleep()).toBe(false);
  producer.push(payload(1, 2), 0, 1, 2);
  expect(producer.publish()).toBe(false);
});

test('a sleeper in the event loop is woken by its producer', async () => {
  const memory = createRing(256);
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  expect(consumer.announceSleep()).toBe(true);
  const sleep = consumer.sleepAsync();
  expect(sleep).toBeDefined();
  producer.push(payload(1, 1), 0, 1, 1);
  expect(producer.publish()).toBe(true);
  producer.wakeSleeper();
  await sleep;
  expect(consumer.peek()).toBe(true);
});

test('a sleep that was ended before it began does not wait', () => {
  const memory = createRing(256);
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  expect(consumer.announceSleep()).toBe(true);
  producer.push(payload(1, 1), 0, 1, 1);
  producer.publish();
  expect(consumer.sleepAsync()).toBeUndefined();
});

test('a consumer can end its own sleep', async () => {
  const consumer = new RingConsumer(createRing(256));
  expect(consumer.announceSleep()).toBe(true);
  const sleep = consumer.sleepAsync();
  consumer.cancelSleep();
  await sleep;
  expect(consumer.peek()).toBe(false);
});

test('misuse is refused', () => {
  expect(() => createRing(100)).toThrow(RangeError);
  expect(() => createRing(32)).toThrow(RangeError);
  expect(() => new RingProducer(new ArrayBuffer(300))).toThrow(RangeError);
  const memory = createRing(64);
  const producer = new RingProducer(memory);
  expect(() => producer.reserve(25)).toThrow(RangeError);
  expect(() => producer.commit(1, 0)).toThrow(RangeError);
  producer.reserve(4);
  expect(() => producer.commit(5, 0)).toThrow(RangeError);
  expect(() => new RingConsumer(memory).release()).toThrow(RangeError);
});
