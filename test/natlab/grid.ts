import type { CellResult } from './cell.ts';
import { KINDS } from './kinds.mjs';

const NAMES = { direct: 'direct', channel: 'channel', relayed: 'relay' } as const;

/** A cell in few letters: what carries, after how many ms the first ping came, and `!` where it falls short. */
export function shortCell(result: CellResult): string {
  const mark = result.ok ? '' : '!';
  if (!result.connected) return `none${mark}`;
  const carrier = result.carrier === null ? 'lost' : NAMES[result.carrier];
  return `${carrier}${mark} ${result.first_ping_ms ?? '-'}`;
}

/** The grid as text; then what falls short, with its reasons. */
export function textGrid(results: readonly CellResult[]): string {
  const involved = KINDS.filter(
    ({ id, shared }) => shared === undefined && results.some(({ a, b }) => a === id || b === id),
  );
  const cell = (a: string, b: string): string => {
    const found = results.find((result) => result.a === a && result.b === b);
    return found === undefined ? '' : shortCell(found);
  };
  const rows = [
    ['', ...involved.map(({ id }) => id)],
    ...involved.map((row) => [row.id, ...involved.map((column) => cell(row.id, column.id))]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines =
    involved.length === 0
      ? []
      : rows.map((row) =>
          row
            .map((text, column) => text.padEnd(widths[column] ?? 0))
            .join('  ')
            .trimEnd(),
        );
  const alone = KINDS.filter(({ shared }) => shared !== undefined)
    .map(({ id }) => `${id}  ${cell(id, id)}`)
    .filter((line) => !line.endsWith('  '));
  const short = results.filter(({ ok }) => !ok);
  return [
    ...lines,
    ...(alone.length === 0 ? [] : ['', ...alone]),
    '',
    'What carries, and ms from both online at the hub to the first ping; ! falls short of its theory.',
    summary(results),
    ...short.map(({ a, b, expected, why }) => `  ${a} × ${b} (${expected}): ${why}`),
  ].join('\n');
}

export function summary(results: readonly CellResult[]): string {
  const count = (wanted: (result: CellResult) => boolean): number => results.filter(wanted).length;
  return `${results.length} cells: ${count(({ connected }) => connected)} connect, ${count(({ ok }) => ok)} as theory expects, ${count(({ ok }) => !ok)} fall short`;
}

const STYLE = `body{font:14px system-ui,sans-serif;margin:2em}table{border-collapse:collapse}
td,th{border:1px solid #bbb;padding:4px 7px;text-align:center;vertical-align:top}th{font-weight:600;background:#f4f4f4}
.direct{background:#cdeccd}.relayed{background:#d5e4f7}.channel{background:#fff2c4}.short{background:#f8c9c4}
small{color:#444}li{margin:.3em 0}`;

/** The grid as a page of its own. */
export function htmlGrid(results: readonly CellResult[], when: string): string {
  const kinds = KINDS.filter(({ id }) => results.some(({ a, b }) => a === id || b === id));
  const cell = (a: string, b: string): string => {
    const result = results.find(
      (known) => (known.a === a && known.b === b) || (known.a === b && known.b === a),
    );
    if (result === undefined) return '<td></td>';
    const figures = [
      result.first_ping_ms === null ? '' : `ping ${result.first_ping_ms} ms`,
      result.direct_ms === null ? '' : `direct ${result.direct_ms} ms`,
      result.tcp_mbps === null ? '' : `${result.tcp_mbps} Mbit/s`,
    ].filter(Boolean);
    const style = result.ok ? (result.carrier ?? '') : 'short';
    return `<td class="${style}" title="${escaped(result.why)}"><b>${result.carrier ?? 'not connected'}</b><br><small>${figures.join('<br>')}</small></td>`;
  };
  const head = `<tr><th></th>${kinds.map(({ title }) => `<th>${escaped(title)}</th>`).join('')}</tr>`;
  const rows = kinds.map(
    (row) =>
      `<tr><th>${escaped(row.title)}</th>${kinds.map((column) => cell(row.id, column.id)).join('')}</tr>`,
  );
  const short = results
    .filter(({ ok }) => !ok)
    .map(({ a, b, expected, why }) => `<li><b>${a} × ${b}</b> (expected ${expected}): ${escaped(why)}</li>`);
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Kith behind NATs</title><style>${STYLE}</style>
<h1>Kith behind NATs</h1>
<p>${escaped(when)}. ${summary(results)}. Each cell: two real nodes and a real hub; times from both online at the hub.</p>
<table>${head}
${rows.join('\n')}
</table>
${short.length === 0 ? '' : `<h2>What falls short</h2>\n<ul>\n${short.join('\n')}\n</ul>`}
</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
