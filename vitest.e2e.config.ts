import { defineConfig } from 'vitest/config';

// End-to-end tests need root, real namespaces and servers. Each file builds its own lab; one file at a time, since two
// labs at once on a small machine would only slow each other down.
export default defineConfig({
  test: {
    pool: 'forks',
    fileParallelism: false,
    include: ['test/e2e/**/*.e2e.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    // These run as root, and root's files have no place in somebody's checkout.
    cache: false,
  },
});
