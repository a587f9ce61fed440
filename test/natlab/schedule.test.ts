import { expect, test } from 'vitest';
import { oneAtATime, runJobs } from './schedule.ts';

/** A job that waits until it is let go. */
function gated(needs: string[], log: string[], name: string) {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const run = async (): Promise<string> => {
    log.push(`${name} starts`);
    await gate;
    log.push(`${name} ends`);
    return name;
  };
  return { job: { needs, run }, open: () => open() };
}

/** Lets everything happen that is due. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('a job waits for what another one needs, and a later one that is free goes first', async () => {
  const log: string[] = [];
  const one = gated(['x', 'y'], log, 'one');
  const two = gated(['y', 'z'], log, 'two');
  const three = gated(['v', 'w'], log, 'three');
  const all = runJobs([one.job, two.job, three.job], 2);
  await settled();
  expect(log).toEqual(['one starts', 'three starts']);
  one.open();
  await settled();
  expect(log).toEqual(['one starts', 'three starts', 'one ends', 'two starts']);
  two.open();
  three.open();
  expect(await all).toEqual(['one', 'two', 'three']);
});

test('never more run at once than asked for', async () => {
  const log: string[] = [];
  const jobs = ['a', 'b', 'c'].map((name) => gated([name], log, name));
  const all = runJobs(
    jobs.map(({ job }) => job),
    1,
  );
  for (const job of jobs) {
    await settled();
    job.open();
  }
  await all;
  expect(log).toEqual(['a starts', 'a ends', 'b starts', 'b ends', 'c starts', 'c ends']);
});

test('a failed work does not stop the next in turn', async () => {
  const inTurn = oneAtATime();
  await expect(inTurn(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await inTurn(() => Promise.resolve(1))).toBe(1);
});
