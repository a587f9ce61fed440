import { afterEach, expect, test } from 'vitest';
import { StreamMode } from './stream-mode.ts';

const told: boolean[] = [];
const mode = new StreamMode((early) => told.push(early));

afterEach(() => void mode.setBatch(false));

test('code is compiled early while a thread carries a stream, and late before and after it', () => {
  expect(told).toEqual([]);
  mode.setBatch(true);
  expect([told, mode.isBatch]).toEqual([[true], true]);
  mode.setBatch(false);
  expect([told, mode.isBatch]).toEqual([[true, false], false]);
});
