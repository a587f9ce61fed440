import { expect, test } from 'vitest';
import type { CellResult } from './cell.ts';
import { htmlGrid, shortCell, textGrid } from './grid.ts';

const result = (change: Partial<CellResult>): CellResult => ({
  ...{ a: 'none', b: 'symmetric', expected: 'direct', theory: 'because', connected: true, carrier: 'direct' },
  ...{
    path: 'direct 203.0.113.9:1',
    first_ping_ms: 120,
    direct_ms: 300,
    tcp_mbps: 900,
    ok: true,
    why: 'because',
  },
  ...change,
});
const failed = result({
  ...{ a: 'symmetric', b: 'symmetric', expected: 'relayed', connected: false, carrier: null },
  ...{ first_ping_ms: null, direct_ms: null, tcp_mbps: null, ok: false, why: 'no <relay> & "nothing"' },
});

test('a cell is told in few letters', () => {
  expect(shortCell(result({}))).toBe('direct 120');
  expect(shortCell(result({ carrier: 'relayed', ok: false }))).toBe('relay! 120');
  expect(shortCell(failed)).toBe('none!');
});

test('the text has the grid, the sums and the reason of every cell that falls short', () => {
  const text = textGrid([result({}), failed]);
  expect(text).toMatch(/^none +direct 120$/m);
  expect(text).toContain('2 cells: 1 connect, 1 as theory expects, 1 fall short');
  expect(text).toContain('symmetric × symmetric (relayed): no <relay> & "nothing"');
});

test('nothing in a reason breaks the page', () => {
  const page = htmlGrid([result({}), failed], 'today');
  expect(page).toContain('no &lt;relay> &amp; &quot;nothing&quot;');
  expect(page).not.toContain('<relay>');
});
