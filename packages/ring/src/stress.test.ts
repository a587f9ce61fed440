import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { createRing, RingConsumer } from './index.ts';

/** Enough for some thousand rounds of a ring of this size and for thousands of sleeps, in about a second. */
const RECORDS = 150_000;
const CAPACITY = 8192;

/** The payload of record `index`: its length and bytes follow from a small generator (Numerical Recipes' LCG) seeded with it. */
const GENERATE = `
  function generate(index, into) {
    let state = Math.imul(index + 1, 2654435761) >>> 0;
    const length = state % 7 === 0 ? state % 1500 : state % 100;
    for (let at = 0; at < length; at++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      into[at] = state >>> 24;
    }
    return length;
  }`;

/** Workers need JavaScript, so the producer runs from the built package. */
const PRODUCER = `
  ${GENERATE}
  const { workerData } = require('node:worker_threads');
  import(workerData.door).then(({ RingProducer }) => {
    const producer = new RingProducer(workerData.memory);
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const scratch = new Uint8Array(1500);
    const publish = () => { if (producer.publish()) producer.wakeSleeper(); };
    for (let index = 0; index < workerData.records; index++) {
      const length = generate(index, scratch);
      const inPlace = index % 2 === 0;
      for (;;) {
        if (inPlace) {
          const at = producer.reserve(1500);
          if (at >= 0) {
            producer.bytes.set(scratch.subarray(0, length), at);
            producer.commit(length, index);
            break;
          }
        } else if (producer.push(scratch, 0, length, index)) break;
        publish();
        Atomics.wait(pause, 0, 0, 0.01);
      }
      if (index % 5 === 0) publish();
    }
    publish();
  });`;

test('two threads pass records intact and in order, sleeping and waking', async () => {
  const memory = createRing(CAPACITY);
  const door = new URL('../dist/index.js', import.meta.url).href;
  const worker = new Worker(PRODUCER, { eval: true, workerData: { memory, door, records: RECORDS } });
  const ended = once(worker, 'exit');
  const generate: (index: number, into: Uint8Array) => number = new Function(
    `${GENERATE}; return generate`,
  )();
  const consumer = new RingConsumer(memory);
  const expected = new Uint8Array(1500);
  let next = 0;
  let sleeps = 0;
  let wrong = 0;
  while (next < RECORDS) {
    while (consumer.peek()) {
      const length = generate(next, expected);
      const received = consumer.bytes.subarray(consumer.offset, consumer.offset + consumer.length);
      if (consumer.tag !== next || Buffer.compare(received, expected.subarray(0, length)) !== 0) wrong++;
      consumer.release();
      next++;
    }
    if (next < RECORDS && consumer.announceSleep()) {
      sleeps++;
      await consumer.sleepAsync();
    }
  }
  await ended;
  expect(wrong).toBe(0);
  expect(next).toBe(RECORDS);
  expect(sleeps).toBeGreaterThan(0);
  expect(consumer.peek()).toBe(false);
});
