import { expect, test } from 'vitest';
import { addIp4, deleteIp4 } from './net-address.ts';
import { NetworkMonitor } from './network-monitor.ts';

const isRoot = process.getuid?.() === 0;

test('a monitor that nothing happened to says so, and so does a closed one', () => {
  const monitor = new NetworkMonitor();
  monitor.changed();
  monitor.close();
  monitor.close();
  expect(monitor.changed()).toBe(false);
});

test.runIf(isRoot)('a new address and its end are noticed, each once', () => {
  const monitor = new NetworkMonitor();
  try {
    monitor.changed();
    addIp4('lo', Uint8Array.of(127, 83, 11, 9), 32);
    expect(monitor.changed()).toBe(true);
    deleteIp4('lo', Uint8Array.of(127, 83, 11, 9), 32);
    expect(monitor.changed()).toBe(true);
  } finally {
    monitor.close();
  }
});
