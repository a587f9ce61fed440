import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { COMPILE_LATE } from './compile-times.ts';

const MODULE = new URL('../dist/compile-times.js', import.meta.url).href;

/** Runs functions through some 600 kB of bytecode: several times what V8 waits for by itself, and not a third of what it waits for when it is to compile late. */
const PROGRAM = `
  const { compileEarly, compileLate } = await import(${JSON.stringify(MODULE)});
  const run = (adds) => { for (let i = 0; i < 20_000; i++) adds(i); };
  run(function atFirst(n) { let sum = 0; for (let i = 0; i < 3; i++) sum += n; return sum; });
  compileEarly();
  run(function inAStream(n) { let sum = 0; for (let i = 0; i < 3; i++) sum += n; return sum; });
  compileLate();
  run(function afterIt(n) { let sum = 0; for (let i = 0; i < 3; i++) sum += n; return sum; });
`;

/** Which of the functions V8 gave its best compiler. */
function compiled(...flags: string[]): string[] {
  const output = execFileSync(
    process.execPath,
    [...flags, '--trace-opt', '--input-type=module', '-e', PROGRAM],
    { encoding: 'utf8' },
  );
  return ['atFirst', 'inAStream', 'afterIt'].filter((name) =>
    new RegExp(`\\[marking .*<JSFunction ${name}\\b`).test(output),
  );
}

test('a process that was started to compile late does so until a stream flows, and after it', () => {
  expect(compiled(COMPILE_LATE)).toEqual(['inAStream']);
});

test('any other one compiles early from its start, and late after a stream', () => {
  expect(compiled()).toEqual(['atFirst', 'inAStream']);
});
