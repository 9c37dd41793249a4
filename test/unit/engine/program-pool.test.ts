import { describe, expect, it } from 'vitest';
import type { BaseModel } from '../../../core/models/base-model.ts';
import { CompiledRuntime } from '../../../core/engine/compiled/compiled-runtime.ts';
import { ProgramPool } from '../../../core/engine/compiled/program-pool.ts';
import { randomAdapter, randomBase, randomBatch } from './support/random-model.ts';
import { disposeAfterEach } from './support/opened-runtimes.ts';

const opened = disposeAfterEach();

/** Another version of the random base: different weights, same config. */
function nextVersion(): BaseModel {
  return randomBase({}, 2);
}

describe('a pool of programs', () => {
  it('lets two versions of a base run on one session, each with its own weights', async () => {
    const [base, next] = [randomBase(), nextVersion()];
    const [adapter, batch] = [randomAdapter(base, () => 4), randomBatch(base, [5, 7])];
    const pool = new ProgramPool();
    const shared = [base, next].map((model) => opened(new CompiledRuntime(model, { threads: 1, pool })));
    const alone = [base, next].map((model) => opened(new CompiledRuntime(model, { threads: 1 })));
    const gradientsOf = (runtimes: readonly CompiledRuntime[]) =>
      Promise.all(runtimes.map((runtime) => runtime.gradients(adapter, batch, 1)));
    // Both calls start before either has ended, and they share the session's output buffers.
    const [found, expected] = [await gradientsOf(shared), await gradientsOf(alone)];
    expect(found).toEqual(expected);
    expect(found[0]).not.toEqual(found[1]);
    expect(pool.size).toBe(1);
  });

  it('keeps programs until the last runtime of their config has left', async () => {
    const [base, other] = [randomBase(), randomBase({ intermediateSize: 24 })];
    const pool = new ProgramPool();
    const [first, second, third] = [base, nextVersion(), other].map((model) => new CompiledRuntime(model, { pool }));
    for (const runtime of [first!, second!, third!]) await runtime.labelLosses(null, randomBatch(runtime.base, [4]));
    expect(pool.size).toBe(2);
    await first!.dispose();
    expect(pool.size).toBe(2);
    await second!.dispose();
    expect(pool.size).toBe(1);
    await third!.dispose();
    expect(pool.size).toBe(0);
  });

  it('keeps programs of other threads apart, and a failed call hinders no later one', async () => {
    const base = randomBase();
    const pool = new ProgramPool();
    const [one, two] = [1, 2].map((threads) => opened(new CompiledRuntime(base, { threads, pool })));
    const batch = randomBatch(base, [4]);
    const broken = opened(new CompiledRuntime({ ...base, weights: new Map() }, { threads: 1, pool }));
    await expect(broken.labelLosses(null, batch)).rejects.toThrow('nothing is bound');
    expect(await one!.labelLosses(null, batch)).toEqual(await two!.labelLosses(null, batch));
    expect(pool.size).toBe(2);
  });
});
