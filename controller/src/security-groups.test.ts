import {
  decideSecurity,
  decodeSignal,
  encodeSignal,
  type SecurityMode,
  type SecurityTerms,
  type Signal,
  uidOfFingerprint,
} from '@kith/protocol';
import { expect, test } from 'vitest';
import { PeerMachine } from './peer-machine.ts';

const CAS = '0:1:udp:10.0.0.1:5000:1:abcd:0123456789012345678901:local::0:1';
const FPR = 'AB:'.repeat(31).concat('AB');
const UID = uidOfFingerprint(FPR);

type Outcome = 'encrypted' | 'plain' | 'refused';

/** DESIGN §5, written out: what becomes of a link whose ends have a group in common, and of one whose ends have none. */
const TABLE: Record<`${SecurityMode} ${SecurityMode}`, { common: Outcome; none: Outcome }> = {
  'always always': { common: 'encrypted', none: 'encrypted' },
  'always groups': { common: 'encrypted', none: 'encrypted' },
  'always never': { common: 'encrypted', none: 'encrypted' },
  'groups always': { common: 'encrypted', none: 'encrypted' },
  'groups groups': { common: 'encrypted', none: 'plain' },
  'groups never': { common: 'encrypted', none: 'plain' },
  'never always': { common: 'encrypted', none: 'encrypted' },
  'never groups': { common: 'encrypted', none: 'plain' },
  'never never': { common: 'plain', none: 'plain' },
};

const MODES: readonly SecurityMode[] = ['always', 'groups', 'never'];
const WITHOUT = ['plain', 'refuse'] as const;
const LISTS: readonly { name: string; mine: string[]; yours: string[]; common: boolean }[] = [
  { name: 'one list, the same', mine: ['a'], yours: ['a'], common: true },
  { name: 'one of several', mine: ['x', 'a'], yours: ['a', 'y', 'z'], common: true },
  { name: 'disjoint', mine: ['a'], yours: ['b'], common: false },
  { name: 'mine empty', mine: [], yours: ['a'], common: false },
  { name: 'yours empty', mine: ['a'], yours: [], common: false },
  { name: 'both empty', mine: [], yours: [], common: false },
  { name: 'differ by case', mine: ['A'], yours: ['a'], common: false },
];

/** What the machine of an end makes of the other end's signal. */
function outcomeAt(mine: SecurityTerms, yours: SecurityTerms): Outcome {
  const machine = new PeerMachine(UID, mine);
  const signal: Signal = { v: 1, uid: UID, fpr: FPR, attempt: 1, cas: CAS, security: yours };
  // As over the wire.
  const actions = machine.signal('con_req', decodeSignal(encodeSignal(signal)), 0);
  if (actions === undefined) return 'refused';
  const create = actions.find((action) => action.do === 'create-link');
  return create?.remote?.encrypted === true ? 'encrypted' : 'plain';
}

const cases = MODES.flatMap((a) =>
  MODES.flatMap((b) =>
    WITHOUT.flatMap((mineWithout) => WITHOUT.map((yoursWithout) => ({ a, b, mineWithout, yoursWithout }))),
  ),
);

test.each(cases)('$a ($mineWithout) with $b ($yoursWithout)', ({ a, b, mineWithout, yoursWithout }) => {
  for (const { name, mine, yours, common } of LISTS) {
    const here: SecurityTerms = { mode: a, groups: mine, without_common_group: mineWithout };
    const there: SecurityTerms = { mode: b, groups: yours, without_common_group: yoursWithout };
    const row = TABLE[`${a} ${b}`];
    const refuses =
      (a === 'groups' && mineWithout === 'refuse') || (b === 'groups' && yoursWithout === 'refuse');
    const plain = (common ? row.common : row.none) === 'plain';
    const expected = plain && refuses && !common ? 'refused' : common ? row.common : row.none;
    expect([outcomeAt(here, there), outcomeAt(there, here)], name).toEqual([expected, expected]);
    expect(decideSecurity(here, there).why, name).not.toBe('');
  }
});

test.each([
  ['a leading digit, which the paper read as a length', '1st floor'],
  ['nothing but digits', '12'],
  ['like a fingerprint', '3F:AA'],
  ['a comma, which the paper split at', 'red,green'],
  ['blanks', ' a b '],
  ['a quotation mark and a backslash', '"\\'],
  ['markup', '</data><type>con_resp</type>'],
  ['UTF-8', 'Köln-Süd'],
  ['beyond the basic plane', '🦊🦊'],
  ['right to left', 'שלום'],
  ['a line feed', 'a\nb'],
  ['a name of every object', '__proto__'],
])('%s is a name like any other: %j', (_what, name) => {
  const terms = (groups: string[]): SecurityTerms => ({
    mode: 'groups',
    groups,
    without_common_group: 'refuse',
  });
  expect(outcomeAt(terms(['other', name]), terms([name]))).toBe('encrypted');
  expect(outcomeAt(terms([name]), terms(['other']))).toBe('refused');
  expect(encodeSignal({ v: 1, uid: UID, fpr: FPR, attempt: 1, cas: CAS, security: terms([name]) })).toMatch(
    /^[\x20-\x7e]*$/,
  );
});

test('64 groups of 64 characters go into a signal, and one in common is found', () => {
  const names = (prefix: string) => Array.from({ length: 64 }, (_, n) => `${prefix}${n}`.padEnd(64, 'x'));
  const terms = (groups: string[]): SecurityTerms => ({
    mode: 'groups',
    groups,
    without_common_group: 'refuse',
  });
  expect(outcomeAt(terms(names('a')), terms(names('b')))).toBe('refused');
  const shared = [...names('b').slice(0, 63), names('a')[40] ?? ''];
  expect(outcomeAt(terms(names('a')), terms(shared))).toBe('encrypted');
});

test('the order of groups does not matter, nor does naming one twice', () => {
  const terms = (groups: string[]): SecurityTerms => ({
    mode: 'groups',
    groups,
    without_common_group: 'plain',
  });
  expect(decideSecurity(terms(['a', 'b', 'a']), terms(['b', 'a']))).toEqual(
    decideSecurity(terms(['b', 'a']), terms(['a', 'b'])),
  );
});
