import { METRICS, type Metric, type MetricInfo } from './metrics.ts';
import type { SystemResult } from './results.ts';
import type { Spread } from './statistics.ts';

// Two tables, so that each fits a terminal.
const SPEED: readonly Metric[] = ['tcp1_mbps', 'tcp4_mbps', 'udp1200_pps', 'udp64_pps', 'tcp1_retransmits'];
const COST: readonly Metric[] = [
  'ping_idle_p50_ms',
  'ping_idle_p99_ms',
  'ping_load_p50_ms',
  'ping_load_p99_ms',
  'cpu_s_per_gb',
  'rss_mb',
];
const RATIOS: readonly Metric[] = [
  'tcp1_mbps',
  'tcp4_mbps',
  'udp1200_pps',
  'udp64_pps',
  'ping_idle_p50_ms',
  'ping_load_p99_ms',
  'cpu_s_per_gb',
];

/** Two tables of medians with least and greatest in brackets. */
export function figureTables(systems: readonly SystemResult[]): string {
  const ran = systems.filter(({ spreads }) => Object.keys(spreads).length > 0);
  return [SPEED, COST]
    .map((keys) => {
      const shown = infos(keys).filter(({ key }) => ran.some(({ spreads }) => spreads[key] !== undefined));
      if (shown.length === 0) return '';
      return align([
        ['', ...shown.map(({ title, unit }) => `${title} ${unit}`)],
        ...ran.map(({ name, spreads }) => [name, ...shown.map((info) => cell(spreads[info.key], info))]),
      ]);
    })
    .filter((table) => table !== '')
    .join('\n\n');
}

/**
 * How much better each of Kith's systems does than each other one: medians divided such that more than 1 is in Kith's favour.
 * Empty when there is nobody to compare.
 */
export function ratioTable(systems: readonly SystemResult[]): string {
  const ran = systems.filter(({ spreads }) => Object.keys(spreads).length > 0);
  const ours = ran.filter(({ name }) => name.startsWith('kith-'));
  const others = ran.filter(({ name }) => !name.startsWith('kith-'));
  if (ours.length === 0 || others.length === 0) return '';
  const shown = infos(RATIOS).filter(({ key }) => ours.some(({ spreads }) => spreads[key] !== undefined));
  return align([
    ['Kith does better by', ...shown.map(({ title }) => title)],
    ...ours.flatMap((one) =>
      others.map((other) => [
        `${one.name} : ${other.name}`,
        ...shown.map((info) => ratio(one.spreads[info.key], other.spreads[info.key], info)),
      ]),
    ),
  ]);
}

function infos(keys: readonly Metric[]): MetricInfo[] {
  return METRICS.filter(({ key }) => keys.includes(key));
}

function cell(spread: Spread | undefined, { digits }: MetricInfo): string {
  if (spread === undefined) return '–';
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) => value.toFixed(digits));
  return `${median} (${min}–${max})`;
}

function ratio(one: Spread | undefined, other: Spread | undefined, { better }: MetricInfo): string {
  if (one === undefined || other === undefined) return '–';
  const value = better === 'more' ? one.median / other.median : other.median / one.median;
  // No VPN costs no CPU time of a VPN.
  return Number.isFinite(value) && value > 0 ? `× ${value.toPrecision(2)}` : '–';
}

/** Columns as wide as their widest cell: the first to the left, the others to the right. */
function align(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((text, column) =>
          column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
