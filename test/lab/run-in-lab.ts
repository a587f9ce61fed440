import { describeError } from '@kith/base';
import { Lab } from './lab.ts';

export type Say = (text: string) => void;

/** Exit code of a program that was interrupted: 128 and SIGINT. */
const INTERRUPTED = 130;

/**
 * Runs a program that needs a lab, and removes the lab however that ends; the program's exit code is what `work` gives, 1 when it throws.
 * @param work speaks through `say`, which is silent once the lab is being removed: all that could be said then is that everything fails
 */
export async function runInLab(name: string, work: (lab: Lab, say: Say) => Promise<number>): Promise<void> {
  let lab: Lab | undefined;
  let interrupted = false;
  const say: Say = (text) => {
    if (!interrupted) process.stdout.write(`${text}\n`);
  };
  const complain = (error: unknown): void => void process.stderr.write(`${describeError(error)}\n`);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (interrupted) return;
      say('\nInterrupted: cleaning up');
      interrupted = true;
      void (lab?.abandon() ?? Promise.resolve()).catch(complain).finally(() => process.exit(INTERRUPTED));
    });
  }
  try {
    lab = await Lab.create({ name });
    process.exitCode = await work(lab, say);
    await lab.destroy();
  } catch (error) {
    if (interrupted) return;
    process.stderr.write(`\nFAILED: ${describeError(error)}\n`);
    process.exitCode = 1;
    await lab?.destroy().catch(complain);
  }
}
