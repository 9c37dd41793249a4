import type { BaseModel } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { programSpec } from '../decoder/program-spec.ts';
import { executionProviderOf, OBSERVING_PROVIDER } from '../devices/execution-provider.ts';
import type { Batch } from '../runtime.ts';
import type { ProvidedProgram } from '../tracer/tracing-thread.ts';
import { Int8Engine, type Int8EngineOptions } from './int8-engine.ts';
import { isHeld, stageBytes } from './float32-runtime.ts';
import { lossChange } from './int8-errors.ts';
import type { Int8Verdict } from './precision-choice.ts';
import { Observer } from './smoothing.ts';

/** Smallest speedup of forward passes for which int8 is worth its errors. */
export const MIN_SPEED_UP = 1.3;

const ROUNDS = 2;

/** Smallest speedup in the first round of timing that makes a second round unnecessary. */
const CLEAR_SPEED_UP = 1.5 * MIN_SPEED_UP;

/**
 * Largest number of rounds of timing as long as int8 seems too slow, which may be because other processes keep the
 * machine busy for a moment.
 */
const MAX_ROUNDS = 15;

export interface CompareOptions extends Int8EngineOptions {
  /** Batch of texts for measuring the losses. */
  readonly batch: Batch;
  /** Smaller batch of texts for measuring the speed. */
  readonly smallBatch: Batch;
  /**
   * Whether the base's float32 matrices stay in memory during the comparison. Default: whether enough memory is free
   * for them.
   */
  readonly holdsMatrices?: boolean | undefined;
  /**
   * Speedup of int8 over float32, if known from another base with the same config. Default: the comparison measures it.
   */
  readonly speedUp?: number | null;
}

/**
 * Compares int8 with float32 on this machine: the speed of forward passes, and the losses of single tokens.
 * @returns the verdict and the engine that was compared, which the caller owns
 */
export async function compareWithFloat32(
  options: CompareOptions,
): Promise<{ verdict: Int8Verdict; engine: Int8Engine }> {
  const { threads, batch, smallBatch, cache, tracer, free = () => process.availableMemory() } = options;
  const { config } = options.base;
  const held = options.holdsMatrices ?? isHeld(config, free());
  // Matrices that stay in memory are read once for all passes, and released together.
  const base: BaseModel = held ? { ...options.base, weights: new Map(options.base.weights) } : options.base;
  const weightBytes = stageBytes({ config }, free());
  const observer = await Observer.create(base, batch, { threads, held, weightBytes, cache, tracer });
  let engine: Int8Engine | null = null;
  try {
    const { losses: expected, smoothing, ms } = await observer.observe(batch);
    engine = await Int8Engine.open({ ...options, smoothing, held: held ? base.weights : undefined });
    const { runtime } = engine;
    const losses = lossChange(await runtime.labelLosses(null, batch), expected);
    // Tracing in another thread would distort the times.
    await tracer?.idle();
    // A pass with streamed weights needs no warm-up, and another one would read the whole base again.
    const timedBatch = held ? smallBatch : batch;
    const speedUp =
      options.speedUp ??
      (await timesAsFast(
        async () => (await observer.observe(timedBatch)).ms,
        () => timed(() => runtime.labelLosses(null, timedBatch)),
        held ? null : ms,
      ));
    return { verdict: { speedUp, losses, smoothing }, engine };
  } catch (error) {
    await engine?.dispose();
    throw error;
  } finally {
    await observer.release();
  }
}

/** Lists the programs that {@link compareWithFloat32} runs, in this order, except those with streamed weights. */
export function comparedPrograms(config: ModelConfig, holdsMatrices: boolean): ProvidedProgram[] {
  const spec = programSpec({ kind: 'labelLosses', config, adapter: null });
  const exact = holdsMatrices ? [{ spec, provider: OBSERVING_PROVIDER }] : [];
  return [...exact, { spec, provider: executionProviderOf('cpu', 'int8') }];
}

/**
 * Measures how many times as fast as `slow` the function `fast` is, from the smallest time of each. The functions run
 * in turn, in {@link ROUNDS} to {@link MAX_ROUNDS} rounds, or only once if the ratio is clear.
 * @param known milliseconds that `slow` is known to take; `slow` then runs only if the ratio seems too small. Null if
 * unknown
 */
async function timesAsFast(
  slow: () => Promise<number>,
  fast: () => Promise<number>,
  known: number | null,
): Promise<number> {
  let [slowMs, fastMs] = [known ?? Infinity, Infinity];
  const least = (ratio: number) => (known === null && ratio < CLEAR_SPEED_UP ? ROUNDS : 1);
  const most = (ratio: number) => (ratio < MIN_SPEED_UP ? MAX_ROUNDS : least(ratio));
  for (let round = 0; round === 0 || round < most(slowMs / fastMs); round++) {
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
