import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { rehearse } from './rehearsal.ts';
import { directionStart } from './test-direction-start.ts';

test.each([true, false])(
  'with offloads %s frames pass a rehearsal, and nothing of the node is touched',
  (hasOffload) => {
    const start = directionStart(hasOffload);
    const shared = [start.table, start.counters, start.direct.stats];
    const before = shared.map((memory) => Buffer.from(memory.slice(0)));
    expect(rehearse(start, start.direct)).toBe(true);
    expect(shared.map((memory) => Buffer.from(memory))).toEqual(before);
  },
);

/**
 * Rehearses to the end, which a slow machine does not in the time of a node's start; then lets a worker do all that workers do, for the first
 * time in its life.
 */
const PROGRAM = `
  const [root, begin] = process.argv.slice(1);
  const { rehearse } = await import(root + 'rehearsal.js');
  const { rehearsalFrames } = await import(root + 'rehearsal-frames.js');
  const { directionStart } = await import(root + 'test-direction-start.js');
  const { WorkerStage } = await import(root + 'worker-stage.js');
  const start = directionStart(true);
  rehearse(start, start.direct, Number.POSITIVE_INFINITY);
  const keys = { mode: 'sealed', cipher: 'aes-256-gcm', key: new Uint8Array(32), fixedIv: new Uint8Array(4) };
  const stage = new WorkerStage(start, start.direct, [keys]);
  const { packets, superFrames } = rehearsalFrames(stage.links[0], start.mtu);
  console.log(begin);
  for (let round = 0; round < 20; round++) {
    stage.interrupt(packets.at(-1));
    for (const frame of [...packets, ...superFrames]) if (stage.pass(frame) === 0) throw new Error('a frame was lost');
    if (stage.passTogether([...superFrames, ...packets.slice(round % 6, round % 6 + 5)]) < 2) throw new Error('frames were lost');
  }
  stage.close();
`;
const BEGIN = 'the node begins';
/** Of the stage: a node has none of these. */
const OF_THE_STAGE = [
  'pass',
  'passTogether',
  'interrupt',
  '#put',
  '#carry',
  '#takeArrived',
  '#bind',
  '#setPath',
  'tell',
  'empty',
  'chunkOf',
];
/** V8 compiles in its own time beside what runs, so that what it has seen by then is chance; here it stops the program while it compiles. */
const IN_TURN = '--no-concurrent-recompilation';
/** A dozen before the rehearsal knew what it knows now. */
const MOST = 2;

test('V8 keeps the code that it made in a rehearsal when another worker does the same', () => {
  const root = new URL('../dist/', import.meta.url).href;
  const args = [IN_TURN, '--trace-deopt', '--input-type=module', '-e', PROGRAM, root, BEGIN];
  const output = execFileSync(process.execPath, args, { encoding: 'utf8' });
  const after = output.slice(output.indexOf(BEGIN));
  const fallen = [...after.matchAll(/\[bailout \(kind: ([^)]*)\).*<JSFunction (\S*) ?\(sfi/g)]
    .map(([, why, name]) => `${name}: ${why}`)
    .filter((text) => !OF_THE_STAGE.some((name) => text.startsWith(`${name}:`)));
  expect(output).toContain(BEGIN);
  expect(fallen.length, fallen.join('\n')).toBeLessThanOrEqual(MOST);
});
