import { expect, test } from 'vitest';
import { IceThread, type ThreadList } from './ice-thread.ts';

class FakeThreads implements ThreadList {
  readonly names = new Map<string, string>();
  readonly nice: [string, number][] = [];
  looks = 0;
  forbids = false;

  ids(): string[] {
    this.looks++;
    return [...this.names.keys()];
  }

  name(id: string): string {
    const name = this.names.get(id);
    if (name === undefined) throw new Error('ENOENT');
    return name;
  }

  setNice(id: string, nice: number): void {
    if (this.forbids) throw new Error('EACCES');
    this.nice.push([id, nice]);
  }
}

test('the library’s ICE thread is found among the others and hurried once', () => {
  const threads = new FakeThreads();
  const ice = new IceThread(threads);
  ice.hurry();
  threads.names.set('1', 'node').set('2', 'juice poll').set('3', 'RTC worker');
  ice.hurry();
  ice.hurry();
  expect(threads.nice).toEqual([['2', -10]]);
  expect(threads.looks).toBe(2);
});

test('the thread that comes after the last connection of an earlier one has gone is hurried as well', () => {
  const threads = new FakeThreads();
  const ice = new IceThread(threads);
  threads.names.set('2', 'juice poll');
  ice.hurry();
  threads.names.delete('2');
  threads.names.set('7', 'juice poll');
  ice.hurry();
  expect(threads.nice.map(([id]) => id)).toEqual(['2', '7']);
});

test('a machine that forbids it changes nothing', () => {
  const threads = new FakeThreads();
  threads.forbids = true;
  threads.names.set('2', 'juice poll');
  expect(() => new IceThread(threads).hurry()).not.toThrow();
});
