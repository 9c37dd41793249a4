import type { Tokenizer } from '../../formats/tokenizer/tokenizer.ts';
import { expectedWeights } from '../../models/architecture/architecture.ts';
import type { BaseModel } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { EngineCache } from '../cache/engine-cache.ts';
import { CompiledRuntime } from '../compiled/compiled-runtime.ts';
import { executionProviderOf } from '../devices/execution-provider.ts';
import { sizeOf } from '../graph/graph.ts';
import type { Batch } from '../runtime.ts';
import { calibrationBatch } from './calibration-batch.ts';
import { isLayerMatrix } from './inputs.ts';
import type { Smoothing } from './int8-matrix.ts';
import { keptChoice, type ChoiceKey, type PrecisionChoice } from './precision-choice.ts';
import { observeSmoothing } from './smoothing.ts';

/** Bases with fewer weights in their layers' matrices gain little (docs/devices.md), so nothing is measured. */
const SMALLEST_BASE = 16e6;

/** How many times as fast int8 has to be, in forward passes over the calibration texts. */
export const LEAST_SPEED_UP = 1.3;

/** How far int8 may move the losses of single tokens, on average, relative to their mean. */
export const LARGEST_CHANGE = 0.1;

const ROUNDS = 5;

/** While int8 looks too slow, up to this many rounds are measured, because a busy moment may be the reason. */
const MOST_ROUNDS = 15;

export interface ChoiceOptions {
  readonly base: BaseModel;
  readonly tokenizer: Tokenizer;
  readonly threads: number;
  /** Keeps choices for later processes. Default: none. */
  readonly cache?: EngineCache | null;
}

/**
 * Chooses int8 where it is measurably faster on this machine and its losses on a fixed set of texts are near those of
 * float32, and float32 otherwise.
 */
export async function choosePrecision(options: ChoiceOptions): Promise<PrecisionChoice> {
  const { base, tokenizer, threads, cache } = options;
  const size = layerWeights(base.config);
  if (size < SMALLEST_BASE) {
    const millions = (size / 1e6).toFixed(1);
    return { precision: 'f32', reason: `${millions} million weights in layers are too few for int8 to pay` };
  }
  const batch = calibrationBatch(tokenizer);
  return keptChoice(cache, keyOf('auto', options, batch), async () => {
    const smoothing = await observeSmoothing(base, batch, { threads });
    const { speedUp, change } = await compare({ base, threads, smoothing }, batch);
    const measured = `int8 is ${speedUp.toFixed(1)} times as fast and moves losses by ${(100 * change).toFixed(1)} %`;
    const f32 = (expected: string) => ({ precision: 'f32', reason: `${measured}, expected ${expected}` }) as const;
    if (speedUp < LEAST_SPEED_UP) return f32(`at least ${LEAST_SPEED_UP} times`);
    if (!(change <= LARGEST_CHANGE)) return f32(`at most ${100 * LARGEST_CHANGE} %`);
    return { precision: 'int8', reason: measured, smoothing };
  });
}

/** Prepares int8 without comparing it with float32. */
export async function int8Of(options: ChoiceOptions): Promise<PrecisionChoice> {
  const { base, tokenizer, threads, cache } = options;
  const batch = calibrationBatch(tokenizer);
  return keptChoice(cache, keyOf('int8', options, batch), async () => {
    return { precision: 'int8', reason: 'asked for', smoothing: await observeSmoothing(base, batch, { threads }) };
  });
}

function keyOf(setting: string, { base, threads }: ChoiceOptions, { inputIds }: Batch): ChoiceKey {
  return { setting, fingerprint: base.fingerprint, inputIds, threads };
}

function layerWeights(config: ModelConfig): number {
  const sizes = expectedWeights(config)
    .filter(({ name }) => isLayerMatrix(name))
    .map(({ shape }) => sizeOf(shape));
  return sizes.reduce((total, size) => total + size, 0);
}

interface Comparison {
  /** Ratio of the fastest forward passes, of {@link ROUNDS} to {@link MOST_ROUNDS} of each precision in turn. */
  readonly speedUp: number;
  /** Mean |loss in int8 − loss in float32| of a label, divided by the mean loss. */
  readonly change: number;
}

interface CompareOptions extends Pick<ChoiceOptions, 'base' | 'threads'> {
  readonly smoothing: Smoothing;
}

async function compare({ base, threads, smoothing }: CompareOptions, batch: Batch): Promise<Comparison> {
  const exact = new CompiledRuntime(base, { threads });
  const int8 = new CompiledRuntime(base, { threads, smoothing, provider: executionProviderOf('cpu', 'int8') });
  try {
    const expected = await exact.labelLosses(null, batch);
    const found = await int8.labelLosses(null, batch);
    let [exactMs, int8Ms] = [Infinity, Infinity];
    for (let round = 0; round < ROUNDS || (round < MOST_ROUNDS && exactMs / int8Ms < LEAST_SPEED_UP); round++) {
      exactMs = Math.min(exactMs, await timed(() => exact.labelLosses(null, batch)));
      int8Ms = Math.min(int8Ms, await timed(() => int8.labelLosses(null, batch)));
    }
    return { speedUp: exactMs / int8Ms, change: relativeChange(found, expected) };
  } finally {
    await exact.dispose();
    await int8.dispose();
  }
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await run();
  return performance.now() - begun;
}

function relativeChange(found: Float32Array, expected: Float32Array): number {
  const changes = found.reduce((total, value, i) => total + Math.abs(value - expected[i]!), 0);
  return changes / expected.reduce((total, value) => total + value, 0);
}
