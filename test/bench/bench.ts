import { parseArgs } from 'node:util';
import { describeError } from '@kith/base';
import { Lab } from '../lab/index.ts';

/** What one bench found: figures by name, printed as one JSON line at the end. */
export type Figures = Record<string, unknown>;

export interface Bench<O extends Record<string, number>> {
  /** Name of the lab, [a-z0-9]{1,12}. */
  name: string;
  /** Numbers that the command line may change by `--name=number`, and their defaults. */
  options: O;
  /** Words that the command line may choose by `--name=word`; the first is the default. */
  choices?: Record<string, readonly [string, ...string[]]>;
  work: (stage: {
    lab: Lab;
    options: O;
    chosen: Readonly<Record<string, string>>;
    channelOnly: boolean;
  }) => Promise<Figures>;
}

/** Prints a line for the person who watches. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/**
 * Runs a bench in a lab of its own, prints its figures as one JSON line and sets the exit code. `--channel` keeps the data on the
 * data channel. Whatever way it ends, nothing stays: what a signal cuts short, the lab's reaper cleans up.
 */
export async function runBench<O extends Record<string, number>>(bench: Bench<O>): Promise<void> {
  const { options, chosen, channelOnly } = readOptions(bench.options, bench.choices ?? {});
  const lab = await Lab.create({ name: bench.name });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => void lab.abandon().finally(() => process.exit(130)));
  }
  try {
    const figures = await bench.work({ lab, options, chosen, channelOnly });
    say(JSON.stringify({ bench: bench.name, ...options, ...chosen, ...figures }));
  } catch (error) {
    process.stderr.write(`FAILED: ${describeError(error)}\n`);
    process.exitCode = 1;
  } finally {
    await lab.destroy();
  }
}

function readOptions<O extends Record<string, number>>(
  defaults: O,
  choices: NonNullable<Bench<O>['choices']>,
): { options: O; chosen: Record<string, string>; channelOnly: boolean } {
  const names = Object.keys(defaults);
  const { values } = parseArgs({
    options: {
      channel: { type: 'boolean', default: false },
      ...Object.fromEntries(
        [...names, ...Object.keys(choices)].map((name) => [name, { type: 'string' as const }]),
      ),
    },
  });
  const options = { ...defaults };
  for (const name of names) {
    const given: unknown = Object.entries(values).find(([key]) => key === name)?.[1];
    if (given === undefined) continue;
    const number = Number(given);
    if (!(number > 0)) throw new RangeError(`--${name} must be a number above zero`);
    Object.assign(options, { [name]: number });
  }
  const chosen = Object.entries(choices).map(([name, words]) => {
    const given: unknown = Object.entries(values).find(([key]) => key === name)?.[1] ?? words[0];
    const word = words.find((one) => one === given);
    if (word === undefined) throw new RangeError(`--${name} must be one of ${words.join(', ')}`);
    return [name, word] as const;
  });
  return { options, chosen: Object.fromEntries(chosen), channelOnly: values.channel === true };
}

/** Prints rows under their heads, in columns. */
export function table(
  heads: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
): void {
  const texts = [heads, ...rows].map((row) => row.map((cell) => (cell === null ? '-' : String(cell))));
  const widths = heads.map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  for (const row of texts)
    say(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

/** Rounds to `digits` digits behind the point. */
export function rounded(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}
