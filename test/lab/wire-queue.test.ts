import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WireQueue } from './wire-queue.ts';

const SLOTS = 4;
const SLOT_BYTES = 8;
const BASE = 16;

test('gives back frames in order, each from the slot it was put in, and says when it is full', () => {
  const step = fc.option(fc.integer({ min: 1, max: SLOT_BYTES }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new WireQueue(BASE, SLOTS, SLOT_BYTES);
      const model: { offset: number; length: number; due: number }[] = [];
      let clock = 0;
      for (const length of steps) {
        expect(queue.full).toBe(model.length === SLOTS);
        expect(queue.due).toBe(model[0]?.due ?? Number.POSITIVE_INFINITY);
        if (length === null) {
          const frame = model.shift();
          if (frame === undefined) continue;
          expect({ offset: queue.offset, length: queue.length, due: queue.due }).toEqual(frame);
          queue.pop();
        } else if (!queue.full) {
          const offset = queue.free;
          expect(offset).toBeGreaterThanOrEqual(BASE);
          expect(offset + SLOT_BYTES).toBeLessThanOrEqual(BASE + SLOTS * SLOT_BYTES);
          expect(model.map((frame) => frame.offset)).not.toContain(offset);
          clock++;
          queue.push(length, clock);
          model.push({ offset, length, due: clock });
        }
      }
    }),
  );
});
