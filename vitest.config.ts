import { defineConfig } from 'vitest/config';
import { PATIENCE_MS } from './test/patience.ts';

interface Options {
  readonly testTimeout: number;
  readonly hookTimeout?: number;
  readonly globalSetup?: readonly string[];
}

/** Makes the project of one kind of test, so that each kind can be run alone (`npm run test:unit`). */
function project(name: string, options: Options) {
  const { globalSetup = [], ...rest } = options;
  // Its files share the modules of a process: loading and compiling them anew for each took half of the processor time.
  const test = {
    name,
    include: [`test/${name}/**/*.test.ts`],
    environment: 'node' as const,
    isolate: false,
    expect: { poll: { timeout: PATIENCE_MS, interval: 20 } },
  };
  return { test: { ...test, globalSetup: [...globalSetup], ...rest } };
}

/** Makes a project whose tests start many processes, which run modules that were compiled ahead. */
function compiledProject(name: string, { globalSetup = [], ...rest }: Options) {
  const { test } = project(name, { ...rest, globalSetup: ['test/compiled/global-setup.ts', ...globalSetup] });
  return { test: { ...test, setupFiles: ['test/compiled/child-modules.ts'] } };
}

export default defineConfig({
  test: {
    projects: [
      compiledProject('unit', { testTimeout: 60_000 }),
      compiledProject('integration', {
        testTimeout: 120_000,
        hookTimeout: 120_000,
        globalSetup: ['test/integration/support/global-setup.ts'],
      }),
      compiledProject('e2e', { testTimeout: 300_000, hookTimeout: 120_000 }),
      compiledProject('production', { testTimeout: 120_000, hookTimeout: 120_000 }),
      compiledProject('upgrade', { testTimeout: 300_000, hookTimeout: 120_000 }),
      compiledProject('attack', { testTimeout: 120_000, hookTimeout: 120_000 }),
      compiledProject('monitoring', { testTimeout: 60_000, hookTimeout: 120_000 }),
      compiledProject('contract', { testTimeout: 300_000, hookTimeout: 120_000 }),
      project('helm', { testTimeout: 60_000 }),
      project('browser', { testTimeout: 120_000, hookTimeout: 120_000 }),
      project('dashboard', {
        testTimeout: 120_000,
        hookTimeout: 120_000,
        globalSetup: ['test/dashboard/support/global-setup.ts'],
      }),
      compiledProject('s3', {
        testTimeout: 120_000,
        hookTimeout: 120_000,
        globalSetup: ['test/integration/support/global-setup.ts'],
      }),
      project('devices', { testTimeout: 300_000, hookTimeout: 120_000 }),
      compiledProject('interop', { testTimeout: 300_000, hookTimeout: 300_000 }),
    ],
    // `npm test` has a third, which computes while others wait for what they have started.
    maxWorkers: 2,
  },
});
