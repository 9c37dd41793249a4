import { configDefaults, defineConfig } from 'vitest/config';
import { PATIENCE_MS } from './test/patience.ts';
import { selectFiles } from './test/short-run.ts';

interface Options {
  readonly globalSetup?: readonly string[];
  /** Globs of the test files. Default: those in `test/NAME`. */
  readonly include?: readonly string[];
  /**
   * Mode of vitest (`--mode`): `short` for the files of `npm test`, `rest` for what it leaves out. Default: all files.
   */
  readonly mode?: string;
}

/**
 * Timeout of a test or a hook, in milliseconds: many times what it takes alone, because a machine may do much else
 * meanwhile, and more than it waits for one thing, so that a failure names that.
 */
const TIMEOUT_MS = 2.5 * PATIENCE_MS;

/** Makes the project of one kind of test, so that each kind can be run alone (`npm run test:unit`). */
function project(name: string, { globalSetup = [], mode = '', include }: Options = {}) {
  const selected = selectFiles(name, mode);
  // Its files share the modules of a process: loading and compiling them anew for each took half of the processor time.
  const test = {
    name,
    include: [...(include ?? selected.include)],
    exclude: [...configDefaults.exclude, ...selected.exclude],
    environment: 'node' as const,
    isolate: false,
    expect: { poll: { timeout: PATIENCE_MS, interval: 20 } },
    testTimeout: TIMEOUT_MS,
    hookTimeout: TIMEOUT_MS,
  };
  return { test: { ...test, globalSetup: [...globalSetup] } };
}

/** Makes a project whose tests start many processes, which run modules that were compiled ahead. */
function compiledProject(name: string, { globalSetup = [], ...rest }: Options = {}) {
  const { test } = project(name, { ...rest, globalSetup: ['test/compiled/global-setup.ts', ...globalSetup] });
  return { test: { ...test, setupFiles: ['test/compiled/child-modules.ts'] } };
}

export default defineConfig(({ mode }) => ({
  test: {
    projects: [
      compiledProject('unit', { mode }),
      compiledProject('integration', { mode, globalSetup: ['test/integration/support/global-setup.ts'] }),
      compiledProject('e2e', { mode, globalSetup: ['test/integration/support/global-setup.ts'] }),
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
      compiledProject('interop', { include: ['{,lab/}test/interop/**/*.test.ts'] }),
      compiledProject('lab', { include: ['lab/test/{bench,experiments}/**/*.test.ts'] }),
    ],
    // `npm test` has a third, which computes while others wait for what they have started.
    maxWorkers: 2,
  },
}));
