import type { BaseModel } from '../../models/base-model.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { createAdapter } from '../../models/lora/lora-init.ts';
import { Random } from '../../statistics/random.ts';
import { CompiledRuntime } from '../compiled/compiled-runtime.ts';
import { StreamedRuntime } from '../compiled/streamed-runtime.ts';
import { baseBytes } from '../memory/base-memory.ts';
import type { Batch } from '../runtime.ts';
import { Int8Engine, type Int8EngineOptions } from './int8-engine.ts';
import { planFloat32, stageBytes } from './float32-runtime.ts';
import { gradientError, lossChange } from './int8-errors.ts';
import type { Verdict } from './precision-choice.ts';
import { Observer } from './smoothing.ts';

/** How many times as fast int8 has to be to be worth its errors, in forward passes. */
export const LEAST_SPEED_UP = 1.3;

const ROUNDS = 2;

/** While int8 looks too slow, up to this many rounds are measured, because a busy moment may be the reason. */
const MOST_ROUNDS = 15;

export interface CompareOptions extends Int8EngineOptions {
  /** The text that losses are measured on. */
  readonly batch: Batch;
  /** A smaller one, for gradients and speed. */
  readonly smallBatch: Batch;
}

/**
 * Compares int8 with float32 on this machine: the speed of forward passes, the losses of single tokens, and the gradients
 * of an adapter on all linear layers.
 * @returns the verdict, and the engine that it was found with, which belongs to the caller
 */
export async function compareWithFloat32(options: CompareOptions): Promise<{ verdict: Verdict; engine: Int8Engine }> {
  const { threads, batch, smallBatch, cache, free = () => process.availableMemory() } = options;
  const { config } = options.base;
  // What is held stays until the end, when the base is there in 8 bits, too.
  const held = planFloat32({ config }, 'few', free() - baseBytes(config, 'int8')) === 'held';
  // Matrices that are held are read once for all passes, and let go together.
  const base: BaseModel = held ? { ...options.base, weights: new Map(options.base.weights) } : options.base;
  const observer = await Observer.create(base, batch, { threads, held, weightBytes: stageBytes({ config }, free()) });
  let engine: Int8Engine | null = null;
  try {
    const { losses: expected, smoothing, ms } = await observer.observe(batch);
    engine = await Int8Engine.open({ ...options, smoothing });
    const { runtime } = engine;
    const losses = lossChange(await runtime.labelLosses(null, batch), expected);
    // A pass whose weights are streamed has nothing to warm up, and another one would read the whole base again.
    const timedBatch = held ? smallBatch : batch;
    const speedUp = await timesAsFast(
      async () => (await observer.observe(timedBatch)).ms,
      () => timed(() => runtime.labelLosses(null, timedBatch)),
      held ? null : ms,
    );
    const exact = held
      ? new CompiledRuntime(base, { threads, cache })
      : new StreamedRuntime(base, { threads, weightBytes: stageBytes({ config }, free()) });
    const gradients = await gradientError(runtime, exact, probeAdapter(base), smallBatch);
    await exact.dispose();
    await engine.releaseBackward();
    return { verdict: { speedUp, losses, gradients, smoothing }, engine };
  } catch (error) {
    await engine?.dispose();
    throw error;
  } finally {
    await observer.release();
  }
}

/**
 * Ratio of the least milliseconds, of {@link ROUNDS} to {@link MOST_ROUNDS} of each in turn.
 * @param known milliseconds of the slow one, which then is not run unless it seems not to be slow; null if not known
 */
async function timesAsFast(
  slow: () => Promise<number>,
  fast: () => Promise<number>,
  known: number | null,
): Promise<number> {
  let [slowMs, fastMs] = [known ?? Infinity, Infinity];
  const least = known === null ? ROUNDS : 1;
  for (let round = 0; round < least || (round < MOST_ROUNDS && slowMs / fastMs < LEAST_SPEED_UP); round++) {
    if (known === null || round > 0) slowMs = Math.min(slowMs, await slow());
    fastMs = Math.min(fastMs, await fast());
  }
  return slowMs / fastMs;
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await run();
  return performance.now() - begun;
}

/** The largest number in B, which is small beside the base's weights. */
const PROBE_SIZE = 0.01;

/** An adapter on all linear layers whose B is not zero, so that the gradient of A is not either. */
function probeAdapter({ config }: BaseModel): Adapter {
  const adapter = createAdapter({ base: config, targetModules: 'all-linear', rank: 8, alpha: 16, seed: 0 });
  const random = Random.fromSeed(1);
  const modules = [...adapter.modules].map(([name, factors]) => {
    return [name, { ...factors, b: factors.b.map(() => PROBE_SIZE * (2 * random.uniform() - 1)) }] as const;
  });
  return { ...adapter, modules: new Map(modules) };
}
