import { KithError } from '@kith/base';
import { expect, test } from 'vitest';
import { HotSlots } from './hot-slots.ts';
import { closeFd, hotMemory, O_RDONLY, openFile, readInto } from './index.ts';

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof KithError ? error.code : `not ours: ${String(error)}`;
  }
  return 'no error';
}

/** Fills memory from a device that gives zeros, through the kernel, at an address. */
function zero(address: number, length: number): void {
  const fd = openFile('/dev/zero', O_RDONLY);
  expect(readInto(fd, address, length)).toBe(length);
  closeFd(fd);
}

test('hot memory is zeroed, as long as asked for, and where its address says', () => {
  const memory = hotMemory(100_000);
  expect(memory.bytes.length).toBe(100_000);
  expect(memory.bytes.every((byte) => byte === 0)).toBe(true);
  memory.bytes.fill(9);
  zero(memory.address + 65_530, 10);
  expect(memory.bytes.indexOf(0)).toBe(65_530);
  expect(memory.bytes.lastIndexOf(0)).toBe(65_539);
});

test('many pieces of hot memory all lie below 2 GiB and do not overlap', () => {
  // More pieces than there are steps to look for a place.
  const pieces = Array.from({ length: 100 }, () => hotMemory(70_000));
  const starts = pieces.map((piece) => piece.address).sort((a, b) => a - b);
  expect(starts.every((start) => start > 0 && start + 70_000 < 2 ** 31)).toBe(true);
  for (const [index, start] of starts.entries()) {
    if (index > 0) expect(start - (starts[index - 1] ?? 0)).toBeGreaterThanOrEqual(70_000);
  }
  for (const [index, piece] of pieces.entries()) piece.bytes.fill(index);
  for (const [index, piece] of pieces.entries()) {
    expect(piece.bytes[0]).toBe(index);
    expect(piece.bytes[69_999]).toBe(index);
  }
});

test('a buffer larger than the room below 2 GiB is still served', () => {
  // Untouched pages cost nothing.
  const memory = hotMemory(2 ** 31);
  expect(memory.bytes.length).toBe(2 ** 31);
  expect(memory.address).toBeGreaterThan(2 ** 31);
  memory.bytes[2 ** 31 - 1] = 1;
  zero(memory.address + 2 ** 31 - 1, 1);
  expect(memory.bytes[2 ** 31 - 1]).toBe(0);
});

test('a length that is none is a bug', () => {
  for (const length of [0, -1, 1.5, Number.NaN]) {
    expect(codeOf(() => hotMemory(length))).toBe('POSIX_BAD_LENGTH');
  }
});

test('a slot comes back zeroed, and slots in use never overlap', () => {
  const slots = new HotSlots(256);
  const taken = Array.from({ length: 600 }, () => slots.take());
  expect(new Set(taken.map((slot) => slot.address)).size).toBe(600);
  for (const [index, slot] of taken.entries()) slot.bytes.fill(index);
  for (const [index, slot] of taken.entries()) {
    expect(slot.bytes.every((byte) => byte === (index & 0xff))).toBe(true);
    expect(slot.words[63]).toBe(((index & 0xff) * 0x0101_0101) >>> 0);
    expect(slot.address % 256).toBe(0);
  }
  for (const slot of taken) slots.give(slot);
  expect(taken.every((slot) => slot.bytes.every((byte) => byte === 0))).toBe(true);
  const again = slots.take();
  expect(taken.some((slot) => slot.address === again.address)).toBe(true);
});

test('slots that would not be aligned are a bug', () => {
  for (const size of [12, 3000]) expect(codeOf(() => new HotSlots(size))).toBe('POSIX_BAD_LENGTH');
});
