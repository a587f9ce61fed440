import { setFlagsFromString } from 'node:v8';

// Node.js warns of flags that change while V8 runs. This one is a number that V8 reads anew whenever it gives a function its next budget, in each thread;
// a thread that reads the old one compiles something a little earlier or later.

/** Bytes of bytecode that a function runs through before V8 asks whether to give it its best compiler: the figure of Node.js 20's V8 (66 KiB, flag-definitions.h). */
const EARLY_BYTES = 67_584;
/** Thirty times that: what carries packets runs through as much soon, what makes and keeps links seldom. */
const LATE_BYTES = 2_000_000;

/**
 * For the command line of a process that runs for long: it makes do with V8's quick compiler while it carries no stream. Most of its code is run a few
 * hundred times in its life, much of it while it starts, and the best compiler costs more than it gives there. Given on the command line, since
 * Node.js' own loading of modules is such code. Figures in docs/SCALE.md.
 */
export const COMPILE_LATE = budget(LATE_BYTES);

/** From now on all threads of this process compile as Node.js does: for one that rehearses or carries a stream. */
export function compileEarly(): void {
  setFlagsFromString(budget(EARLY_BYTES));
}

/** From now on they compile late. What is compiled stays so. */
export function compileLate(): void {
  setFlagsFromString(COMPILE_LATE);
}

function budget(bytes: number): string {
  return `--interrupt-budget=${bytes}`;
}
