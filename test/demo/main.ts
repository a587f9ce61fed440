// The privileged part of `npm run demo`; scripts/demo.mjs does the set-up and starts it.
import { describeError } from '@kith/base';
import { Lab } from '../lab/index.ts';
import { keep, stopKept } from './kept.ts';
import { type Cast, type DemoResult, play, type Say } from './story.ts';

const options = new Set(process.argv.slice(2));
const json = options.has('--json');
// With --json standard output carries the result alone.
const say: Say = (text) => void (json ? process.stderr : process.stdout).write(`${text}\n`);

let lab: Lab | undefined;
let interrupted = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupted) return;
    interrupted = true;
    say('\nInterrupted: cleaning up');
    // Whatever the story is waiting for fails now; its failure is no news.
    void (lab?.abandon() ?? Promise.resolve())
      .catch(complain)
      .finally(() => finish({ error: 'interrupted' }, 130));
  });
}

function complain(error: unknown): void {
  process.stderr.write(`${describeError(error)}\n`);
}

function finish(result: DemoResult | { error: string }, code: number): void {
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, ...result })}\n`);
  process.exitCode = code;
  // A signal may have cut the story short anywhere, with its children's pipes still open.
  if (interrupted) process.exit();
}

async function stop(): Promise<void> {
  const count = await stopKept();
  say(
    count === 0
      ? 'No demo is running.'
      : `Stopped ${count === 1 ? 'the demo' : `${count} demos`}; nothing is left.`,
  );
}

async function demo(): Promise<void> {
  const cast: Cast = [];
  const began = performance.now();
  try {
    lab = await Lab.create({ name: 'demo' });
    const result = await play(lab, cast, say);
    if (options.has('--keep')) {
      say(await keep(lab, cast));
    } else {
      say('\nkith down everywhere, and the stage is cleared');
      for (const node of cast) say(`  ${(await node.down()).trim()}`);
      await lab.destroy();
    }
    say(
      result.ok
        ? `\nDone in ${Math.round((performance.now() - began) / 1000)} s.`
        : `\nFAILED: ${result.error}`,
    );
    finish(result, result.ok ? 0 : 1);
  } catch (error) {
    if (interrupted) return;
    const logs = await Promise.all(cast.map((node) => node.logTail()));
    process.stderr.write(`\n${logs.join('')}\nFAILED: ${describeError(error)}\n`);
    await lab?.destroy().catch(complain);
    finish({ error: describeError(error) }, 1);
  }
}

await (options.has('--stop') ? stop() : demo());
