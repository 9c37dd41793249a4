import { createRuntime } from '../engine/create-runtime.ts';
import type { Batch, Runtime } from '../engine/runtime.ts';
import { narrowToHalf, widenHalf } from '../formats/safetensors/dtypes.ts';
import type { BaseModel } from '../models/base-model.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import type { Device } from '../options/devices.ts';
import type { Precision } from '../options/precisions.ts';
import { factorArrays } from '../training/optimizer/factors.ts';
import type { CheckCase } from './cases.ts';
import type { CaseResult } from './check-report.ts';
import { randomAdapter, randomBase, randomBatch, tinyConfig } from './random-model.ts';

/**
 * Largest difference from the reference at which a case passes, by the base's precision. It is larger for float16: the
 * reference rounds the matrices first and takes DoRA norms from the rounded ones, but the device takes them from the
 * unrounded ones.
 */
const TOLERANCE: Readonly<Record<Precision, number>> = { f32: 1e-4, f16: 5e-4, int8: 1e-4 };

const RANK = 3;

/** Device under test and its reference device. Both must be open. */
export interface Compared {
  readonly device: Device;
  readonly reference: Device;
  readonly threads: number;
}

/** Runs a case on both devices. If one of them fails, the result has an error in place of numbers. */
export async function compareCase(compared: Compared, each: CheckCase): Promise<CaseResult> {
  const { name, precision = 'f32' } = each;
  const common = { name, precision, tolerance: TOLERANCE[precision] };
  try {
    const found = await withRuntimes(compared, randomBase(tinyConfig(each.config ?? {})), precision, (runtimes) =>
      differences(runtimes, each),
    );
    const numbers = Object.values(found);
    return { ...common, ...found, passed: numbers.every((value) => value <= common.tolerance), error: null };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ...common, losses: null, logits: null, gradients: null, passed: false, error: message };
  }
}

type Runtimes = readonly [tested: Runtime, reference: Runtime];

/**
 * Opens a runtime of the same base on the device and on the reference, passes both to `use`, and disposes of them in
 * any case.
 */
export async function withRuntimes<T>(
  { device, reference, threads }: Compared,
  base: BaseModel,
  precision: Precision,
  use: (runtimes: Runtimes) => Promise<T>,
): Promise<T> {
  const expected = createRuntime({ base: precision === 'f16' ? rounded(base) : base, device: reference, threads });
  const tested = createRuntime({ base, device, precision, threads });
  try {
    return await use([tested, expected]);
  } finally {
    await tested.dispose();
    await expected.dispose();
  }
}

async function differences(
  [tested, reference]: Runtimes,
  each: CheckCase,
): Promise<Record<'losses' | 'logits' | 'gradients', number>> {
  const { dora = false, lengths, alike } = each;
  const adapter = randomAdapter(tested.base, RANK, dora);
  const batch = randomBatch(tested.base.config.vocabSize, lengths, alike);
  let [losses, logits] = [0, 0];
  for (const which of [adapter, null]) {
    losses = Math.max(
      losses,
      largestDifference(await tested.labelLosses(which, batch), await reference.labelLosses(which, batch)),
    );
    logits = Math.max(
      logits,
      largestDifference(await tested.logits(which, batch), await reference.logits(which, batch)),
    );
  }
  return { losses, logits, gradients: await gradientDifference([tested, reference], adapter, batch, each.dropout) };
}

async function gradientDifference(
  [tested, reference]: Runtimes,
  adapter: Adapter,
  batch: Batch,
  rate = 0,
): Promise<number> {
  const dropout = rate > 0 ? { rate, seed: 5 } : undefined;
  const found = factorArrays((await tested.gradients(adapter, batch, 0.25, dropout)).gradients);
  const expected = factorArrays((await reference.gradients(adapter, batch, 0.25, dropout)).gradients);
  const each = [...expected].map(([name, values]) => {
    const scale = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    // The constant bounds the relative error of gradients that are nearly zero throughout.
    return largestDifference(found.get(name), values) / (scale + 0.01);
  });
  return Math.max(...each);
}

/** Returns max |a − b|; NaN if a number is not finite, Infinity if the sizes differ. */
function largestDifference(found: Float32Array | undefined, expected: Float32Array): number {
  if (found?.length !== expected.length) return Infinity;
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - found[i]!)), 0);
}

/** Rounds a base's matrices to float16. */
function rounded(base: BaseModel): BaseModel {
  const weights = [...base.weights].map(([name, { shape, data }]) => {
    const copy = data.slice();
    if (shape.length === 2) widenHalf(narrowToHalf(data), copy);
    return [name, { shape, data: copy }] as const;
  });
  return { ...base, weights: new Map(weights) };
}
