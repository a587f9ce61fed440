import type { TrustAnswer, TrustNode } from '@kith/protocol';
import { expect, test } from 'vitest';
import { formatTrust } from './trust-text.ts';

const uid = 'ab'.repeat(20);
const node: TrustNode = {
  ...{ name: 'bob@x', uid, trust: 'pinned', fingerprint: 'AB:CD', code: '11111 22222' },
  since: '2026-11-21T07:12:33.123Z',
};
const answer: TrustAnswer = {
  ...{ schema: 1, mode: 'first-use', nodes: [node] },
  self: { name: 'me@x', uid: 'cd'.repeat(20), fingerprint: 'CD:AB' },
};
const short = { fingerprint: false };

test('list names every node with all of its UID, so that it can be given to the other commands', () => {
  const text = formatTrust({ m: 'trust', do: 'list' }, answer, short);
  expect(text).toContain(`trust first-use, this is me@x, node ${'cd'.repeat(20)}\n`);
  expect(text).toMatch(/^bob@x +pinned +(ab){20} +2026-11-21 07:12 UTC$/m);
  expect(formatTrust({ m: 'trust', do: 'list' }, { ...answer, nodes: [] }, short)).toContain(
    'no node of anybody',
  );
});

test('verify shows the code and says how to compare it, or both whole fingerprints', () => {
  const question = { m: 'trust', do: 'verify', name: 'bob@x', confirm: false } as const;
  const code = formatTrust(question, answer, short);
  expect(code).toContain('  11111 22222\n');
  expect(code).toContain('kith trust verify me@x\n');
  const whole = formatTrust(question, answer, { fingerprint: true });
  expect(whole).toContain('  AB:CD\n');
  expect(whole).toContain('  CD:AB\n');
  expect(whole).not.toContain('11111');
  const unknown = formatTrust(
    question,
    { ...answer, nodes: [{ ...node, fingerprint: null }] },
    { fingerprint: true },
  );
  expect(unknown).toContain('not known in full');
});

test('what was done is said with the whole UID, and no name can move the cursor', () => {
  const evil = { ...answer, nodes: [{ ...node, name: 'b\u001b[2Job@x' }] };
  expect(formatTrust({ m: 'trust', do: 'accept', name: 'bob' }, evil, short)).toBe(
    `b?[2Job@x: node ${uid} is accepted\n`,
  );
  expect(formatTrust({ m: 'trust', do: 'forget', name: 'bob' }, answer, short)).toContain(
    'is forgotten (it was pinned)',
  );
  const confirmed = formatTrust({ m: 'trust', do: 'verify', name: 'bob', confirm: true }, answer, short);
  expect(confirmed).toContain('is verified');
});
