import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KithError } from '@kith/base';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { closeFd, hotMemory, IoVector, O_NONBLOCK, O_RDWR, openFile, readInto } from './index.ts';

const memory = hotMemory(65_536);
const target = hotMemory(65_536);

/** A pipe with a name: opened for reading and writing, it never blocks and is read by the same descriptor. */
function withPipe(use: (fd: number) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'kith-posix-'));
  try {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    const fd = openFile(path, O_RDWR | O_NONBLOCK);
    try {
      use(fd);
    } finally {
      closeFd(fd);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('pieces from anywhere reach a pipe in order, as one write', () => {
  for (let index = 0; index < memory.bytes.length; index++) memory.bytes[index] = index * 31 + (index >> 8);
  withPipe((fd) => {
    const vector = new IoVector(64);
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.nat({ max: 60_000 }), length: fc.nat({ max: 500 }) }), { maxLength: 64 }),
        (pieces) => {
          vector.reset();
          for (const { at, length } of pieces) expect(vector.add(memory.address + at, length)).toBe(true);
          expect(vector.count).toBe(pieces.length);
          const expected = Buffer.concat(
            pieces.map(({ at, length }) => memory.bytes.subarray(at, at + length)),
          );
          expect(vector.writeTo(fd)).toBe(expected.length);
          if (expected.length > 0) {
            expect(readInto(fd, target.address, 65_536)).toBe(expected.length);
            expect(expected.equals(target.bytes.subarray(0, expected.length))).toBe(true);
          }
        },
      ),
    );
  });
});

test('a full vector takes no more and writes what it has', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kith-posix-'));
  const path = join(folder, 'file');
  writeFileSync(path, '');
  const fd = openFile(path, O_RDWR);
  memory.bytes.set(Buffer.from('abcdef'));
  const vector = new IoVector(2);
  expect(vector.capacity).toBe(2);
  expect(vector.add(memory.address + 4, 2)).toBe(true);
  expect(vector.add(memory.address, 3)).toBe(true);
  expect(vector.add(memory.address, 1)).toBe(false);
  expect(vector.writeTo(fd)).toBe(5);
  closeFd(fd);
  expect(readFileSync(path, 'utf8')).toBe('efabc');
  rmSync(folder, { recursive: true });
});

test('a refused write answers with a negative errno', () => {
  const vector = new IoVector(1);
  vector.add(memory.address, 1);
  expect(vector.writeTo(-1)).toBe(-9);
});

test('a vector of an impossible size is a bug', () => {
  for (const capacity of [0, 1025, Number.NaN]) {
    expect(() => new IoVector(capacity)).toThrow(KithError);
  }
});
