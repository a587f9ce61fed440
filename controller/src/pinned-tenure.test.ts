import { createLogger } from '@kith/base';
import { expect, test } from 'vitest';
import { KnownNodes } from './known-nodes.ts';
import { PinnedTenure } from './pinned-tenure.ts';

const BOB = '01'.repeat(20);
const EVE = '02'.repeat(20);
const pin = (jid: string) => ({ jid, fpr: null, verified: false, since: '' });

function tenureOf(isMember: (jid: string) => boolean = () => true) {
  const known = new KnownNodes('/dev/null/none', createLogger('test', 'silent'));
  return { known, tenure: new PinnedTenure(known, 'me@x', isMember) };
}

test('only a pinned node holds an address, one at a time, until it gives it up or its pin is forgotten', () => {
  const { known, tenure } = tenureOf();
  tenure.hold(BOB, '10.0.0.2');
  expect(tenure.holders('10.0.0.2')).toEqual([]);
  known.put(BOB, { ...pin('bob@x'), verified: true });
  tenure.hold(BOB, '10.0.0.2');
  expect(tenure.heldSince(BOB, '10.0.0.2')).toMatch(/^\d{4}-\d\d-\d\dT/);
  expect(tenure.heldSince(BOB, '10.0.0.3')).toBeUndefined();
  tenure.hold(BOB, '10.0.0.3');
  expect([tenure.holders('10.0.0.2'), tenure.holders('10.0.0.3')]).toEqual([[], [BOB]]);
  tenure.giveUp(BOB);
  expect(tenure.holders('10.0.0.3')).toEqual([]);
  expect(known.get(BOB)).toEqual({ ...pin('bob@x'), verified: true });
  tenure.hold(BOB, '10.0.0.3');
  known.remove(BOB);
  expect(tenure.holders('10.0.0.3')).toEqual([]);
});

test('what one held who is no member any more is free, and his again when he comes back', () => {
  const members = new Set(['bob@x']);
  const { known, tenure } = tenureOf((jid) => members.has(jid));
  for (const [uid, jid] of [
    [BOB, 'bob@x'],
    [EVE, 'eve@x'],
  ] as const) {
    known.put(uid, pin(jid));
    tenure.hold(uid, '10.0.0.2');
  }
  expect(tenure.holders('10.0.0.2')).toEqual([BOB]);
  members.clear();
  expect(tenure.holders('10.0.0.2')).toEqual([]);
  members.add('bob@x').add('eve@x');
  expect(tenure.holders('10.0.0.2')).toEqual([BOB, EVE]);
});
