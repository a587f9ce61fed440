import { expect, test } from 'vitest';
import { barChart } from './chart.ts';
import type { Figures } from './metrics.ts';
import { type Machine, Results, resultDocument } from './results.ts';
import { figureTables, ratioTable } from './table.ts';

const MACHINE: Machine = { cpu: 'Chip <1>', cores: 2, kernel: '6.18', node: '20.20.2' };

function results(): Results {
  const all = new Results();
  const round = (mbps: number, p99: number): Figures => ({ tcp1_mbps: mbps, ping_load_p99_ms: p99 });
  for (const mbps of [2000, 1000, 3000]) all.add('kith-encrypted', round(mbps, 2), []);
  for (const mbps of [100, 400, 250]) all.add('tinc', round(mbps, 8), ['UDP, 64 bytes: iperf3: no']);
  all.add('n2n', {}, ['not installed']);
  return all;
}

test('the JSON form has median, least and greatest of each figure, and only systems that ran', () => {
  expect(resultDocument(MACHINE, 3, results().systems())).toEqual({
    machine: MACHINE,
    rounds: 3,
    systems: {
      'kith-encrypted': {
        tcp1_mbps: { median: 2000, min: 1000, max: 3000 },
        ping_load_p99_ms: { median: 2, min: 2, max: 2 },
      },
      tinc: {
        tcp1_mbps: { median: 250, min: 100, max: 400 },
        ping_load_p99_ms: { median: 8, min: 8, max: 8 },
      },
    },
  });
});

test('problems are told once each', () => {
  expect(
    results()
      .systems()
      .map(({ problems }) => problems),
  ).toEqual([[], ['UDP, 64 bytes: iperf3: no'], ['not installed']]);
});

test('the tables show what was measured, and ratios in favour of Kith whichever way is better', () => {
  const systems = results().systems();
  const tables = figureTables(systems);
  expect(tables).toMatch(/^kith-encrypted +2000 \(1000–3000\)$/m);
  expect(tables).toMatch(/^tinc +8\.00 \(8\.00–8\.00\)$/m);
  expect(tables).not.toContain('n2n');
  expect(ratioTable(systems)).toMatch(/^kith-encrypted : tinc +× 8\.0 +× 4\.0$/m);
});

test('without Kith or without others there is nothing to compare', () => {
  const alone = new Results();
  alone.add('tinc', { tcp1_mbps: 1 }, []);
  expect(ratioTable(alone.systems())).toBe('');
});

test('the chart has a bar for each figure and escapes what it is given', () => {
  const svg = barChart(MACHINE, 3, results().systems());
  expect(svg.match(/<rect class="k"/g)).toHaveLength(2);
  expect(svg.match(/<rect class="o"/g)).toHaveLength(2);
  expect(svg).toContain('Chip &lt;1&gt;');
});
