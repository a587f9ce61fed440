import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PidFile, readPidFile } from './pid-file.ts';
import { parseStartTime, startTimeOf } from './process-proof.ts';

let dir = '';
let path = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kith-pid-'));
  path = join(dir, 'supervisor.pid');
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

test('the holder is found by its pid file until it lets go', () => {
  const held = PidFile.take(path);
  expect(readPidFile(path)).toEqual({ pid: process.pid, startTime: startTimeOf(process.pid) });
  held?.release();
  expect(existsSync(path)).toBe(false);
  expect(readPidFile(path)).toBeUndefined();
});

test('only one can hold it, and it can be taken again after', () => {
  const first = PidFile.take(path);
  expect(first).toBeDefined();
  expect(PidFile.take(path)).toBeUndefined();
  expect(readPidFile(path)?.pid).toBe(process.pid);
  first?.release();
  const second = PidFile.take(path);
  expect(second).toBeDefined();
  second?.release();
});

test('a stale file of a process that was killed is taken over', async () => {
  const other = spawn('sleep', ['60']);
  await once(other, 'spawn');
  const pid = other.pid ?? 0;
  const stale = JSON.stringify({ pid, start_time: startTimeOf(pid) });
  writeFileSync(path, stale);
  expect(readPidFile(path)?.pid).toBe(pid);
  other.kill('SIGKILL');
  await once(other, 'exit');
  expect(readPidFile(path)).toBeUndefined();
  const held = PidFile.take(path);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid });
  held?.release();
});

test('a pid that was given to another process proves nothing', () => {
  writeFileSync(path, JSON.stringify({ pid: process.pid, start_time: 1 }));
  expect(readPidFile(path)).toBeUndefined();
});

test('a damaged file is as good as none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      writeFileSync(path, text);
      expect(readPidFile(path)).toBeUndefined();
    }),
  );
});

test('the start time is found behind any program name', () => {
  const rest = Array.from({ length: 40 }, (_, index) => String(index + 4)).join(' ');
  expect(parseStartTime(`7 (node) S ${rest}`)).toBe(22);
  expect(parseStartTime(`7 (a) b) (c) S ${rest}`)).toBe(22);
  expect(parseStartTime(`7 (node) Z ${rest}`)).toBeUndefined();
  expect(parseStartTime('')).toBeUndefined();
  expect(startTimeOf(2 ** 30)).toBeUndefined();
});
