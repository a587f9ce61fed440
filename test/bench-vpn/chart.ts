import { METRICS, type Metric, type MetricInfo } from './metrics.ts';
import { describeMachine, type Machine, type SystemResult } from './results.ts';
import type { Spread } from './statistics.ts';
import { escapeXml, px } from './svg.ts';

/** What the chart shows, one panel each. */
const PANELS: readonly Metric[] = ['tcp1_mbps', 'udp64_pps', 'ping_load_p99_ms', 'cpu_s_per_gb'];

// Pixels. The width is that of a README's text column.
const WIDTH = 840;
const NAMES_WIDTH = 120;
const FIGURES_WIDTH = 170;
const BAR_HEIGHT = 14;
const ROW_HEIGHT = 20;
const PANEL_GAP = 14;
const TITLE_HEIGHT = 26;
const FOOT_HEIGHT = 22;

// Readable on a light and on a dark page; whoever shows the file decides which by the reader's setting.
const STYLE = `text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-weight:600;font-size:13px}.f,.foot{fill:#57606a}
.k{fill:#2f81f7}.o{fill:#8c959f}.w{stroke:#24292f;stroke-width:1}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.f,.foot{fill:#9198a1}.o{fill:#656c76}.w{stroke:#e6edf3}}`;

/** A bar chart: medians as bars, least and greatest as a line over the end of each. */
export function barChart(machine: Machine, rounds: number, systems: readonly SystemResult[]): string {
  let y = 0;
  const parts: string[] = [];
  for (const info of METRICS.filter(({ key }) => PANELS.includes(key))) {
    const rows = systems.flatMap(({ name, spreads }) => {
      const found = spreads[info.key];
      // No VPN's CPU time is nothing, and nothing to see.
      return found === undefined || found.max === 0 ? [] : [{ name, found }];
    });
    if (rows.length === 0) continue;
    parts.push(panel(info, rows, y));
    y += TITLE_HEIGHT + rows.length * ROW_HEIGHT + PANEL_GAP;
  }
  const foot = `${describeMachine(machine)}; medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, lines from least to greatest`;
  parts.push(`<text class="foot" x="0" y="${y + 10}">${escapeXml(foot)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + FOOT_HEIGHT}" width="${WIDTH}" height="${y + FOOT_HEIGHT}" role="img"><title>Kith beside other VPNs</title><style>${STYLE}</style>\n${parts.join('\n')}\n</svg>\n`;
}

function panel(info: MetricInfo, rows: readonly { name: string; found: Spread }[], top: number): string {
  const space = WIDTH - NAMES_WIDTH - FIGURES_WIDTH;
  const scale = space / Math.max(...rows.map(({ found }) => found.max));
  const title = `${info.title}, ${info.unit === '/s' ? 'delivered per second' : info.unit} (${info.better} is better)`;
  const lines = rows.map(({ name, found }, index) => {
    const y = top + TITLE_HEIGHT + index * ROW_HEIGHT;
    const middle = y + BAR_HEIGHT / 2;
    const [from, to] = [found.min, found.max].map((value) => px(NAMES_WIDTH + value * scale));
    const figures = [found.median, found.min, found.max].map((value) => format(value, info.digits));
    return [
      `<text x="${NAMES_WIDTH - 8}" y="${y + 11}" text-anchor="end">${escapeXml(name)}</text>`,
      `<rect class="${name.startsWith('kith') ? 'k' : 'o'}" x="${NAMES_WIDTH}" y="${y}" width="${px(found.median * scale)}" height="${BAR_HEIGHT}" rx="2"/>`,
      `<path class="w" d="M${from} ${middle}H${to}"/>`,
      `<text class="f" x="${px(NAMES_WIDTH + found.max * scale + 8)}" y="${y + 11}">${figures[0]} (${figures[1]}–${figures[2]})</text>`,
    ].join('');
  });
  return `<text class="t" x="0" y="${top + 14}">${escapeXml(title)}</text>\n${lines.join('\n')}`;
}

function format(value: number, digits: number): string {
  // Groups of three digits, with the thin space that ISO 80000 wants, from five digits on.
  const text = value.toFixed(digits);
  return value < 10_000 ? text : text.replace(/\B(?=(\d{3})+$)/g, '\u2009');
}
