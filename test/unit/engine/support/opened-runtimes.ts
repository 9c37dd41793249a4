import { afterEach } from 'vitest';
import type { Runtime } from '../../../../core/engine/runtime.ts';

/** One device of each runtime: the default and the reference. */
export const COMPARED_DEVICES = ['cpu', 'tfjs-cpu'] as const;

/** Disposes of every object passed to the returned function after each test. Call it once in a suite. */
export function disposeAfterEach(): <R extends Runtime>(runtime: R) => R {
  const runtimes: Runtime[] = [];
  afterEach(async () => {
    for (const runtime of runtimes.splice(0)) await runtime.dispose();
  });
  return (runtime) => {
    runtimes.push(runtime);
    return runtime;
  };
}
