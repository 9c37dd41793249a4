import { defineConfig } from 'vitest/config';
import { PATIENCE_MS } from './test/patience.ts';

interface Options {
  /** How long a test or a hook may take, in milliseconds: several times what it takes alone, because a machine may do much else meanwhile. */
  readonly timeout?: number;
  readonly globalSetup?: readonly string[];
}

/** Makes the project of one kind of test, so that each kind can be run alone (`npm run test:unit`). */
function project(name: string, { timeout = 300_000, globalSetup = [] }: Options = {}) {
  // Its files share the modules of a process: loading and compiling them anew for each took half of the processor time.
  const test = {
    name,
    include: [`test/${name}/**/*.test.ts`],
    environment: 'node' as const,
    isolate: false,
    expect: { poll: { timeout: PATIENCE_MS, interval: 20 } },
    testTimeout: timeout,
    hookTimeout: timeout,
  };
  return { test: { ...test, globalSetup: [...globalSetup] } };
}

/** Makes a project whose tests start many processes, which run modules that were compiled ahead. */
function compiledProject(name: string, { globalSetup = [], ...rest }: Options = {}) {
  const { test } = project(name, { ...rest, globalSetup: ['test/compiled/global-setup.ts', ...globalSetup] });
  return { test: { ...test, setupFiles: ['test/compiled/child-modules.ts'] } };
}

export default defineConfig({
  test: {
    projects: [
      compiledProject('unit', { timeout: 120_000 }),
      compiledProject('integration', {
        timeout: 120_000,
        globalSetup: ['test/integration/support/global-setup.ts'],
      }),
      // Its fleets train, and a test waits for that more than once (`FLEET_MS`).
      compiledProject('e2e', { timeout: 600_000 }),
      compiledProject('production'),
      compiledProject('upgrade'),
      compiledProject('attack'),
      compiledProject('monitoring'),
      compiledProject('contract'),
      project('helm'),
      project('browser'),
      project('dashboard', { globalSetup: ['test/dashboard/support/global-setup.ts'] }),
      compiledProject('s3', { globalSetup: ['test/integration/support/global-setup.ts'] }),
      project('devices'),
      compiledProject('interop'),
    ],
    // `npm test` has a third, which computes while others wait for what they have started.
    maxWorkers: 2,
  },
});
