// What happens to a running pair when something changes under it, over N runs:
//   node test/dist/natlab/recovery.js [--runs=N] [--only=EVENT,…] [--suspend=SECONDS] [--json=FILE]     as root, after `npm run build`
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { describeError } from '@kith/base';
import { table } from '../bench/bench.ts';
import { Lab } from '../lab/index.ts';
import { EVENTS, type EventContext } from './events.ts';
import { type EventFigures, measureEvent } from './measure-event.ts';
import { World } from './world.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10' },
    only: { type: 'string' },
    suspend: { type: 'string', default: '60' },
    json: { type: 'string' },
    logs: { type: 'string' },
  },
});
const runs = Number(values.runs);
const context: EventContext = { suspendMs: Number(values.suspend) * 1000 };
const wanted = values.only?.split(',');
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const unknown = wanted?.find((name) => !EVENTS.some((event) => event.name === name));
if (unknown !== undefined || !(runs >= 1)) {
  say(`Events: ${EVENTS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

if (values.logs !== undefined) process.env.KITH_LAB_LOGS = values.logs;
const lab = await Lab.create({ name: 'recovery' });
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => void lab.abandon().finally(() => process.exit(130)));

const results: { event: string; run: number; figures: EventFigures | null; problem: string | null }[] = [];
try {
  const world = await World.create(lab, { secondRelay: true });
  for (const event of EVENTS.filter(({ name }) => wanted === undefined || wanted.includes(name))) {
    await measureEvent(world, event, context, runs, (run, outcome) => {
      const figures = typeof outcome === 'string' ? null : outcome;
      results.push({ event: event.name, run, figures, problem: figures === null ? String(outcome) : null });
      say(`${event.name} ${run}: ${figures === null ? outcome : JSON.stringify(figures)}`);
    });
  }
} catch (error) {
  process.stderr.write(`FAILED: ${describeError(error)}\n`);
  process.exitCode = 1;
} finally {
  await lab.destroy();
}
if (results.some(({ figures }) => figures === null)) process.exitCode = 1;

/** Median and greatest of what was measured; "never" when it never came in some run. */
function p50max(list: readonly (number | null)[]): string {
  const numbers = list.filter((value) => value !== null).sort((one, other) => one - other);
  const median = numbers[Math.floor((numbers.length - 1) / 2)];
  const greatest = numbers.at(-1);
  const never = list.length - numbers.length;
  if (median === undefined || greatest === undefined) return 'never';
  return `${Math.round(median)} / ${Math.round(greatest)}${never === 0 ? '' : ` (${never}× never)`}`;
}

say('');
table(
  ['event', 'runs', 'longest silence', 'replies again', 'best path again', 'answered %'],
  EVENTS.flatMap(({ name }) => {
    const all = results.filter(({ event }) => event === name);
    if (all.length === 0) return [];
    const of = (key: keyof EventFigures) => p50max(all.map(({ figures }) => figures?.[key] ?? null));
    return [[name, all.length, of('silence_ms'), of('back_ms'), of('best_ms'), of('answered_percent')]];
  }),
);
say(
  'median / greatest of all runs, in ms. "Replies again" counts from the event (suspend and loss: from its end), "best path again" from its end.',
);
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify({ results }, null, 2)}\n`);
