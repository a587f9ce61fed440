import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StreamManagement } from './stream-management.ts';

const LIMITS = { stanzas: 50, bytes: 1000 };

test('keeps just what the other end has not acknowledged, in order, within its bounds', () => {
  const step = fc.oneof(
    fc.record({ op: fc.constant('sent' as const), bytes: fc.integer({ min: 1, max: 200 }) }),
    fc.record({ op: fc.constant('acked' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({ op: fc.constant('received' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const sm = new StreamManagement<number>('id', LIMITS);
      let model: { stanza: number; bytes: number }[] = [];
      let next = 0;
      let acked = 0;
      let inbound = 0;
      for (const one of steps) {
        const bytes = model.reduce((sum, entry) => sum + entry.bytes, 0);
        if (one.op === 'received') {
          sm.received();
          inbound++;
        } else if (one.op === 'acked') {
          const count = Math.floor(one.share * model.length);
          acked += count;
          expect(sm.acked(String(acked))).toBe(true);
          model = model.slice(count);
        } else {
          const fits = model.length < LIMITS.stanzas && bytes + one.bytes <= LIMITS.bytes;
          expect(sm.sent(next, one.bytes)).toBe(fits);
          if (fits) model.push({ stanza: next, bytes: one.bytes });
          next++;
        }
        expect(sm.unacked).toEqual(model.map(({ stanza }) => stanza));
        expect(sm.unackedBytes).toBe(model.reduce((sum, entry) => sum + entry.bytes, 0));
        expect(sm.inbound).toBe(inbound);
      }
    }),
  );
});

test('believes no acknowledgement of what was not sent, and none that is no number', () => {
  const sm = new StreamManagement<string>(null, LIMITS);
  sm.sent('a', 1);
  for (const h of [undefined, '', '2', '-1', '1.5', '0x1', ' 1', '4294967296', '99999999999']) {
    expect(sm.acked(h)).toBe(false);
  }
  expect(sm.unacked).toEqual(['a']);
  expect(sm.acked('1')).toBe(true);
  expect(sm.acked('0')).toBe(false);
});
