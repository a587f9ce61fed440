import { expect, test } from 'vitest';
import { trustCode } from './trust-code.ts';

const [alice, bob, eve] = ['a1'.repeat(20), 'b0'.repeat(20), 'ee'.repeat(20)];

test('both ends show the same eight groups of five digits', async () => {
  const code = await trustCode(alice, bob);
  expect(code).toMatch(/^(?:\d{5} ){7}\d{5}$/);
  expect(await trustCode(bob, alice)).toBe(code);
});

test('whoever stands between two nodes changes what either end shows, in the half of the node that it replaces', async () => {
  const halves = (code: string) => [code.slice(0, 23), code.slice(24)];
  const [first, second] = halves(await trustCode(alice, bob));
  const [alicesFirst, alicesSecond] = halves(await trustCode(alice, eve));
  const [bobsFirst, bobsSecond] = halves(await trustCode(eve, bob));
  expect(alicesFirst).toBe(first);
  expect(alicesSecond).not.toBe(second);
  expect(bobsFirst).toBe(second);
  expect(bobsSecond).toBe(alicesSecond);
});
