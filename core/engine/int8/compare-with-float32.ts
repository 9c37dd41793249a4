import type { BaseModel } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { programSpec } from '../decoder/program-spec.ts';
import { executionProviderOf, OBSERVING_PROVIDER } from '../devices/execution-provider.ts';
import type { Batch } from '../runtime.ts';
import type { ProvidedProgram } from '../tracer/tracing-thread.ts';
import { Int8Engine, type Int8EngineOptions } from './int8-engine.ts';
import { isHeld, stageBytes } from './float32-runtime.ts';
import { lossChange } from './int8-errors.ts';
import type { Verdict } from './precision-choice.ts';
import { Observer } from './smoothing.ts';

/** How many times as fast int8 has to be to be worth its errors, in forward passes. */
export const LEAST_SPEED_UP = 1.3;

const ROUNDS = 2;

/** What looks so much faster after one round needs no second. */
const CLEAR_SPEED_UP = 1.5 * LEAST_SPEED_UP;

/** While int8 looks too slow, up to this many rounds are measured, because a busy moment may be the reason. */
const MOST_ROUNDS = 15;

export interface CompareOptions extends Int8EngineOptions {
  /** The text that losses are measured on. */
  readonly batch: Batch;
  /** A smaller one, for the speed. */
  readonly smallBatch: Batch;
  /** Whether the base's float32 matrices stay in memory meanwhile. Default: if they fit. */
  readonly holdsMatrices?: boolean | undefined;
  /** How many times as fast int8 is, where that is known of another base of this config. Default: it is measured. */
  readonly speedUp?: number | null;
}

/**
 * Compares int8 with float32 on this machine: the speed of forward passes, and the losses of single tokens.
 * @returns the verdict, and the engine that it was found with, which belongs to the caller
 */
export async function compareWithFloat32(options: CompareOptions): Promise<{ verdict: Verdict; engine: Int8Engine }> {
  const { threads, batch, smallBatch, cache, tracer, free = () => process.availableMemory() } = options;
  const { config } = options.base;
  const held = options.holdsMatrices ?? isHeld(config, free());
  // Matrices that are held are read once for all passes, and let go together.
  const base: BaseModel = held ? { ...options.base, weights: new Map(options.base.weights) } : options.base;
  const weightBytes = stageBytes({ config }, free());
  const observer = await Observer.create(base, batch, { threads, held, weightBytes, cache, tracer });
  let engine: Int8Engine | null = null;
  try {
    const { losses: expected, smoothing, ms } = await observer.observe(batch);
    engine = await Int8Engine.open({ ...options, smoothing, held: held ? base.weights : undefined });
    const { runtime } = engine;
    const losses = lossChange(await runtime.labelLosses(null, batch), expected);
    // Tracing in another thread would disturb the times.
    await tracer?.idle();
    // A pass whose weights are streamed has nothing to warm up, and another one would read the whole base again.
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

/** The programs that {@link compareWithFloat32} runs, in this order. Those of weights that are not held but streamed are left out. */
export function comparedPrograms(config: ModelConfig, holdsMatrices: boolean): ProvidedProgram[] {
  const spec = programSpec({ kind: 'labelLosses', config, adapter: null });
  const exact = holdsMatrices ? [{ spec, provider: OBSERVING_PROVIDER }] : [];
  return [...exact, { spec, provider: executionProviderOf('cpu', 'int8') }];
}

/**
 * Ratio of the least milliseconds, of {@link ROUNDS} to {@link MOST_ROUNDS} of each in turn, or of one if it is clear.
 * @param known milliseconds of the slow one, which then is not run unless it seems not to be slow; null if not known
 */
async function timesAsFast(
  slow: () => Promise<number>,
  fast: () => Promise<number>,
  known: number | null,
): Promise<number> {
  let [slowMs, fastMs] = [known ?? Infinity, Infinity];
  const least = (ratio: number) => (known === null && ratio < CLEAR_SPEED_UP ? ROUNDS : 1);
  const most = (ratio: number) => (ratio < LEAST_SPEED_UP ? MOST_ROUNDS : least(ratio));
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
