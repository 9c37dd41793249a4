import { defineConfig } from 'vitest/config';

/** Makes the project of one kind of test, so that each kind can be run alone (`npm run test:unit`). */
function project(name: string, options: Record<string, unknown> = {}) {
  return { test: { name, include: [`test/${name}/**/*.test.ts`], environment: 'node' as const, ...options } };
}

export default defineConfig({
  test: {
    projects: [
      project('unit', { testTimeout: 60_000 }),
      project('integration', {
        testTimeout: 60_000,
        hookTimeout: 120_000,
        globalSetup: ['test/integration/support/global-setup.ts'],
      }),
      project('e2e', { testTimeout: 300_000, hookTimeout: 120_000 }),
      project('production', { testTimeout: 120_000, hookTimeout: 120_000 }),
      project('upgrade', { testTimeout: 300_000, hookTimeout: 120_000 }),
      project('attack', { testTimeout: 120_000, hookTimeout: 120_000 }),
      project('monitoring', { testTimeout: 60_000, hookTimeout: 120_000 }),
      project('contract', { testTimeout: 300_000, hookTimeout: 120_000 }),
      project('helm', { testTimeout: 60_000 }),
      project('browser', { testTimeout: 120_000, hookTimeout: 120_000 }),
      project('dashboard', {
        testTimeout: 60_000,
        hookTimeout: 120_000,
        globalSetup: ['test/dashboard/support/global-setup.ts'],
      }),
      project('s3', { testTimeout: 120_000, hookTimeout: 120_000 }),
      project('devices', { testTimeout: 300_000, hookTimeout: 120_000 }),
      project('interop', { testTimeout: 300_000, hookTimeout: 300_000 }),
    ],
    maxWorkers: 2,
  },
});
