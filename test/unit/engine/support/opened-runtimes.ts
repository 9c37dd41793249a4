import { afterEach } from 'vitest';
import type { Runtime } from '../../../../core/engine/runtime.ts';

/** To be called once a suite: what is given to the function that it returns is disposed of after each test. */
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
