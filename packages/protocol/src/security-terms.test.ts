import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideSecurity, type SecurityTerms } from './index.ts';

const end = (
  mode: SecurityTerms['mode'],
  groups: string[] = [],
  without: 'plain' | 'refuse' = 'plain',
): SecurityTerms => ({
  mode,
  groups,
  without_common_group: without,
});

test.each([
  ['always, always', end('always'), end('always'), 'encrypted'],
  ['always, never', end('always'), end('never'), 'encrypted'],
  ['always, groups without a common one', end('always', ['a']), end('groups', ['b']), 'encrypted'],
  ['groups with a common one', end('groups', ['a', 'b']), end('groups', ['b']), 'encrypted'],
  ['groups without a common one', end('groups', ['a']), end('groups', ['b']), 'plain'],
  ['groups, both lists empty', end('groups'), end('groups'), 'plain'],
  [
    'groups that refuses, without a common one',
    end('groups', ['a'], 'refuse'),
    end('groups', ['b']),
    'refused',
  ],
  [
    'groups that refuses, with a common one',
    end('groups', ['a'], 'refuse'),
    end('groups', ['a']),
    'encrypted',
  ],
  ['groups, never, common', end('groups', ['a']), end('never', ['a']), 'encrypted'],
  ['groups, never, none common', end('groups', ['a']), end('never'), 'plain'],
  ['never, never, even with a common group', end('never', ['a']), end('never', ['a']), 'plain'],
  ['refuse means nothing under never', end('never', [], 'refuse'), end('never'), 'plain'],
])('%s', (_name, mine, yours, expected) => {
  expect(decideSecurity(mine, yours).security).toBe(expected);
});

test('both ends come to the same result', () => {
  const terms = fc.record({
    mode: fc.constantFrom('always' as const, 'groups' as const, 'never' as const),
    groups: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }),
    without_common_group: fc.constantFrom('plain' as const, 'refuse' as const),
  });
  fc.assert(
    fc.property(terms, terms, (a, b) => {
      expect(decideSecurity(a, b).security).toBe(decideSecurity(b, a).security);
      if (a.mode === 'always' || b.mode === 'always') expect(decideSecurity(a, b).security).toBe('encrypted');
    }),
  );
});
