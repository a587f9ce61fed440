import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Outbox, type Outgoing } from './outbox.ts';

type Entry = Outgoing<string>;
const LIMITS = { entries: 20, bytes: 500 };

const step = fc.oneof(
  fc.record({
    op: fc.constant('add' as const),
    bytes: fc.integer({ min: 1, max: 100 }),
    life: fc.integer({ min: 0, max: 20 }),
  }),
  fc.record({ op: fc.constant('send' as const), window: fc.integer({ min: 0, max: 120 }) }),
  fc.record({ op: fc.constant('settle' as const), which: fc.nat(40), right: fc.boolean() }),
  fc.record({ op: fc.constant('requeue' as const) }),
  fc.record({ op: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 10 }) }),
);

test('whatever happens, each request that was taken leaves exactly once and stays within the bounds', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const outbox = new Outbox<Entry>(LIMITS);
      const inside = new Map<string, Entry>();
      const flying = new Set<string>();
      const leave = (entries: Entry[]) => {
        for (const { id } of entries) {
          expect(inside.delete(id)).toBe(true);
          flying.delete(id);
        }
      };
      let now = 0;
      let serial = 0;
      for (const one of steps) {
        if (one.op === 'add') {
          const id = String(serial++);
          const entry = { id, to: `to-${id}`, stanza: id, bytes: one.bytes, deadline: now + one.life };
          const bytes = [...inside.values()].reduce((sum, { bytes }) => sum + bytes, 0);
          const fits = inside.size < LIMITS.entries && bytes + one.bytes <= LIMITS.bytes;
          expect(outbox.add(entry)).toBe(fits);
          if (fits) inside.set(id, entry);
        } else if (one.op === 'send') {
          const entry = outbox.next(one.window);
          if (entry !== undefined) {
            expect(entry.bytes).toBeLessThanOrEqual(one.window);
            expect(flying.has(entry.id)).toBe(false);
            // First in, first out.
            const waiting = [...inside.keys()].filter((id) => !flying.has(id)).map(Number);
            expect(Number(entry.id)).toBe(Math.min(...waiting));
            flying.add(entry.id);
          }
        } else if (one.op === 'settle') {
          const id = String(one.which);
          const entry = outbox.settle(id, one.right ? `to-${id}` : 'mallory');
          expect(entry !== undefined).toBe(one.right && flying.has(id));
          if (entry !== undefined) leave([entry]);
        } else if (one.op === 'requeue') {
          expect(outbox.requeue()).toBe(flying.size);
          flying.clear();
        } else {
          now += one.ms;
          const due = [...inside.values()].filter(({ deadline }) => deadline <= now).length;
          const expired = outbox.expire(now);
          expect(expired).toHaveLength(due);
          leave(expired);
        }
        expect(outbox.size).toBe(inside.size);
        expect(outbox.nextDeadline()).toBe(Math.min(...[...inside.values()].map(({ deadline }) => deadline)));
      }
      leave(outbox.clear());
      expect(inside.size).toBe(0);
      expect(outbox.add({ id: 'x', to: 'y', stanza: '', bytes: LIMITS.bytes, deadline: 0 })).toBe(true);
    }),
  );
});
