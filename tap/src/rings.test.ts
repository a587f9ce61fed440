import { createRing, RingConsumer, RingProducer } from '@kith/ring';
import { expect, test } from 'vitest';
import {
  commandKind,
  commandLink,
  encodeBind,
  encodeUnbindLink,
  TAG_BIND,
  TAG_UNBIND_LINK,
} from './commands.ts';
import { Counters, MAIN_COUNTERS } from './counters.ts';
import { Downlink } from './downlink.ts';
import { UplinkDrain } from './uplink-drain.ts';

const FRAME = new Uint8Array(48).fill(1);

function newDownlink(capacity: number) {
  const memory = createRing(capacity);
  const counters = new Counters(MAIN_COUNTERS);
  let wakes = 0;
  const downlink = new Downlink(memory, counters, 64, () => wakes++);
  return { downlink, counters, consumer: new RingConsumer(memory), wakes: () => wakes };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function tagsIn(consumer: RingConsumer): number[] {
  const tags: number[] = [];
  while (consumer.peek()) {
    tags.push(consumer.tag);
    consumer.release();
  }
  consumer.flush();
  return tags;
}

test('a full downlink drops frames, but never a command, nor the order between them', async () => {
  const { downlink, counters, consumer } = newDownlink(256);
  let delivered = 0;
  while (downlink.chunk(5, FRAME, 0, FRAME.length)) delivered++;
  expect(delivered).toBe(4);
  // Room for the frame, but its link is not bound yet.
  for (let link = 0; link < 20; link++) downlink.command(TAG_BIND, encodeBind(link, 3, new Uint8Array(16)));
  expect(consumer.peek()).toBe(true);
  consumer.release();
  consumer.flush();
  expect(downlink.chunk(6, FRAME, 0, FRAME.length)).toBe(false);
  expect(counters.get('dropped_downlink_full')).toBe(2);
  const tags = tagsIn(consumer);
  while (tags.length < 23) {
    await turn();
    tags.push(...tagsIn(consumer));
  }
  expect(downlink.chunk(7, FRAME, 0, FRAME.length)).toBe(true);
  expect([...tags, ...tagsIn(consumer)]).toEqual([5, 5, 5, ...new Array(20).fill(TAG_BIND), 7]);
});

test('commands carry their link and kind', () => {
  const { downlink, consumer } = newDownlink(256);
  downlink.command(TAG_UNBIND_LINK, encodeUnbindLink(0xabcd));
  downlink.command(TAG_BIND, encodeBind(0x1234, 2, new Uint8Array(4)));
  consumer.peek();
  expect([consumer.tag, commandLink(consumer)]).toEqual([TAG_UNBIND_LINK, 0xabcd]);
  consumer.release();
  consumer.peek();
  expect([consumer.tag, commandLink(consumer), commandKind(consumer)]).toEqual([TAG_BIND, 0x1234, 2]);
});

test('a stalled ingress worker is reported rather than letting commands pile up', () => {
  const { downlink } = newDownlink(256);
  expect(() => {
    for (let count = 0; count < 10_000; count++) downlink.command(TAG_UNBIND_LINK, encodeUnbindLink(1));
  }).toThrow('unread');
  downlink.stop();
});

test('the downlink wakes a sleeping worker once', () => {
  const { downlink, consumer, wakes } = newDownlink(1024);
  expect(consumer.announceSleep()).toBe(true);
  downlink.chunk(1, FRAME, 0, 10);
  downlink.chunk(1, FRAME, 0, 10);
  expect(wakes()).toBe(1);
});

test('frames beyond the largest are refused before they reach the ring', () => {
  const { downlink, counters, consumer } = newDownlink(256);
  expect(downlink.chunk(1, new Uint8Array(65), 0, 65)).toBe(false);
  expect(counters.get('dropped_oversize')).toBe(1);
  expect(consumer.peek()).toBe(false);
});

test('the uplink drain sleeps, wakes, and lets other events pass between its turns', async () => {
  const memory = createRing(2 ** 16);
  const producer = new RingProducer(memory);
  const seen: number[] = [];
  let turnsWhileBusy = 0;
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const drain = new UplinkDrain(
    new RingConsumer(memory),
    (link, data, offset, length) => {
      expect(data[offset]).toBe(link & 0xff);
      expect(length).toBe(8);
      seen.push(link);
      if (seen.length === 1000) finish();
    },
    (error) => {
      throw error;
    },
  );
  await turn();
  await turn();
  for (let link = 0; link < 1000; link++) producer.push(new Uint8Array(8).fill(link), 0, 8, link);
  expect(producer.publish()).toBe(true);
  producer.wakeSleeper();
  const countTurns = (): void => {
    if (seen.length === 1000) return;
    turnsWhileBusy++;
    setImmediate(countTurns);
  };
  setImmediate(countTurns);
  await finished;
  expect(seen).toEqual(Array.from({ length: 1000 }, (_, index) => index));
  expect(turnsWhileBusy).toBeGreaterThanOrEqual(5);
  drain.stop();
});

test('a handler that throws ends the drain and is reported', async () => {
  const memory = createRing(1024);
  const producer = new RingProducer(memory);
  producer.push(FRAME, 0, 8, 1);
  producer.push(FRAME, 0, 8, 2);
  producer.publish();
  let calls = 0;
  const error = await new Promise((resolve) => {
    new UplinkDrain(
      new RingConsumer(memory),
      () => {
        calls++;
        throw new Error('no');
      },
      resolve,
    );
  });
  await turn();
  expect(error).toEqual(new Error('no'));
  expect(calls).toBe(1);
});

test('a handler may stop the drain, and gets nothing more', async () => {
  const memory = createRing(1024);
  const producer = new RingProducer(memory);
  producer.push(FRAME, 0, 8, 1);
  producer.push(FRAME, 0, 8, 2);
  producer.publish();
  const seen: number[] = [];
  await new Promise<unknown>((resolve) => {
    const drain = new UplinkDrain(
      new RingConsumer(memory),
      (link) => {
        seen.push(link);
        drain.stop();
        resolve(undefined);
      },
      resolve,
    );
  });
  await turn();
  expect(seen).toEqual([1]);
  expect(producer.publish()).toBe(false);
});
