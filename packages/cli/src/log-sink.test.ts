import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LineSplitter } from './line-splitter.ts';
import { LogFile } from './log-sink.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kith-log-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

test('a full log file becomes FILE.1 and a new one begins; no line is lost between them', () => {
  const path = join(dir, 'kith.log');
  const log = new LogFile(path, 100);
  for (let index = 0; index < 25; index++) log.line(`line ${String(index).padStart(3, '0')}`);
  log.close();
  const lines = (readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8')).trimEnd().split('\n');
  expect(lines.at(-1)).toBe('line 024');
  expect(lines).toEqual([...lines].sort());
  expect(statSync(path).size).toBeLessThanOrEqual(100);
  expect(statSync(`${path}.1`).size).toBeLessThanOrEqual(100);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a log file is carried on after a restart', () => {
  const path = join(dir, 'kith.log');
  for (const line of ['one', 'two']) {
    const log = new LogFile(path);
    log.line(line);
    log.close();
  }
  expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
});

test('lines come out whole however the bytes arrive', () => {
  const parts = fc.array(fc.nat(20), { maxLength: 30 });
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 30 })), parts, (texts, cuts) => {
      const lines = texts.map((text) => text.replaceAll('\n', ' ')).filter((text) => text !== '');
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const seen: string[] = [];
      const splitter = new LineSplitter((line) => seen.push(line));
      let at = 0;
      for (const cut of cuts) {
        splitter.push(bytes.subarray(at, at + cut));
        at += cut;
      }
      splitter.push(bytes.subarray(at));
      splitter.end();
      expect(seen).toEqual(lines);
    }),
  );
});

test('a line that does not end is cut, and the next one is whole again', () => {
  const seen: string[] = [];
  const splitter = new LineSplitter((line) => seen.push(line));
  for (let index = 0; index < 50; index++) splitter.push(Buffer.alloc(1000, 'x'));
  splitter.push(Buffer.from('\nnext\nlast'));
  splitter.end();
  expect(seen.map((line) => line.slice(0, 10))).toEqual(['xxxxxxxxxx', 'next', 'last']);
  expect(seen[0]?.length).toBeLessThan(20_000);
});
