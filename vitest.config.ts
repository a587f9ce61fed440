import { defineConfig } from 'vitest/config';

// node-datachannel lives in one thread per process, so test files run in forked processes, never in worker threads.
export default defineConfig({
  test: {
    pool: 'forks',
    include: [
      'packages/*/src/**/*.test.ts',
      '{controller,tincan,tap}/src/**/*.test.ts',
      'test/{bench-vpn,fuzz,lab,natlab,soak}/**/*.test.ts',
      'scripts/**/*.test.mjs',
    ],
    testTimeout: 30_000,
  },
});
