import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { PARENT_FD_VARIABLE } from './child-process.ts';

const PARENT_FD = 3;
const MODULE = new URL('../dist/index.js', import.meta.url).href;

let child: ChildProcess | undefined;
afterEach(() => void child?.kill('SIGKILL'));

/** A process that watches its parent, as the supervisor starts one, and the supervisor's end of the pipe. */
function start(): { child: ChildProcess; pipe: Duplex } {
  const script = `import(${JSON.stringify(MODULE)}).then(({ watchParent }) => watchParent(() => process.exit(7)))`;
  child = spawn(process.execPath, ['-e', script], {
    env: { ...process.env, [PARENT_FD_VARIABLE]: String(PARENT_FD) },
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  const pipe = child.stdio[PARENT_FD];
  if (!(pipe instanceof Duplex)) throw new Error('the child has no pipe');
  return { child, pipe };
}

test('a child says at once and again that it lives, and learns that its supervisor is gone', async () => {
  const { child: process, pipe } = start();
  await once(pipe, 'data');
  await once(pipe, 'data');
  const ended = once(process, 'exit');
  pipe.destroy();
  expect((await ended)[0]).toBe(7);
});
