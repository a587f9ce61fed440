import { printable } from '../table.ts';

export const LEVELS = ['ok', 'warn', 'fail'] as const;
export type Level = (typeof LEVELS)[number];

/** What one check found, as `kith doctor --json` prints it. */
export interface Finding {
  /** Stable name of the check. */
  check: string;
  level: Level;
  detail: string;
  /** What to do; null where nothing is. */
  advice: string | null;
}

export function ok(check: string, detail: string): Finding {
  return { check, level: 'ok', detail, advice: null };
}

export function warn(check: string, detail: string, advice: string): Finding {
  return { check, level: 'warn', detail, advice };
}

export function fail(check: string, detail: string, advice: string): Finding {
  return { check, level: 'fail', detail, advice };
}

/** One line for each finding, and under those that are not well what to do. */
export function formatFindings(findings: readonly Finding[]): string {
  const width = Math.max(0, ...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, level, detail, advice }) => [
    `${level.padEnd(4)}  ${check.padEnd(width)}  ${oneLine(detail)}`,
    ...(advice === null ? [] : [`${' '.repeat(width + 8)}${oneLine(advice)}`]),
  ]);
  return `${lines.map(printable).join('\n')}\n`;
}

/** Errors of a config have a line for each problem. */
function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}
