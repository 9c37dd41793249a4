import { expect } from 'vitest';
import { factorKey } from '../../../../core/formats/peft/peft-keys.ts';
import type { TrainableArrays } from '../../../../core/models/lora/adapter.ts';
import { trainableArrays } from '../../../../core/models/lora/trainable-arrays.ts';
import { adamwInit, adamwUpdate, type AdamwStep } from '../../../../core/training/optimizer/adamw.ts';
import { factorArrays, withFactorArrays } from '../../../../core/training/optimizer/factors.ts';
import type { Runtime } from '../../../../core/engine/runtime.ts';
import { everyPositionBatch, labelBatch, values, type GoldenCase, type Group, type Tensors } from './golden.ts';
import { largestDifference, relativeError, sum } from './numeric.ts';

/** Tolerance of a result, as a multiple of the reference's own rounding gap. */
const FACTOR = 10;
/**
 * Upper bound of the tolerance of trained tensors. Adam turns a gradient near zero into a full step, so they may differ
 * more than gradients.
 */
const TRAINED = 1e-4;

export type Which = 'base' | 'adapter';

export async function expectLogitsAndLosses(runtime: Runtime, fixture: GoldenCase, which: Which): Promise<void> {
  const { golden, base } = fixture;
  const adapter = which === 'adapter' ? fixture.adapter : null;
  const every = everyPositionBatch(golden);
  const logits = rowsAt(golden, `${which}.logits`, { rows: every.paddedPositions, width: base.config.vocabSize });
  expectWithinGap(fixture, 'logits', [await runtime.logits(adapter, every), logits]);

  const batch = labelBatch(golden);
  const losses = await runtime.labelLosses(adapter, batch);
  expectWithinGap(fixture, 'loss', [[sum(losses) / losses.length], values(golden, `${which}.loss`)]);
  if (!adapter) return;
  // The fixture stores them without the last position of each row.
  const length = golden.get('input_ids')!.shape[1]!;
  const at = batch.paddedPositions.map((position) => position - Math.floor(position / length));
  expectWithinGap(fixture, 'loss', [losses, rowsAt(golden, 'adapter.token_nll', { rows: at, width: 1 })]);
}

export async function expectGradients(runtime: Runtime, fixture: GoldenCase): Promise<void> {
  const batch = labelBatch(fixture.golden);
  const labels = batch.labelIds.length;
  const { lossSum, gradients } = await runtime.gradients(fixture.adapter, batch, 1 / labels);
  expectWithinGap(fixture, 'loss', [[lossSum / labels], values(fixture.golden, 'adapter.loss')]);
  expect([...gradients.keys()]).toEqual([...fixture.adapter.modules.keys()]);
  for (const [name, array] of storedArrays(gradients, fixture, 'grad')) {
    expectWithinGap(fixture, 'grad', [array, values(fixture.golden, name)], name);
  }
}

/** Takes five AdamW steps on the same batch. */
export async function expectTraining(runtime: Runtime, fixture: GoldenCase): Promise<void> {
  const { golden, adapter, gaps } = fixture;
  const batch = labelBatch(golden);
  const labels = batch.labelIds.length;
  const parameters = factorArrays(adapter.modules);
  let step: AdamwStep = { parameters, state: adamwInit(parameters) };
  const losses: number[] = [];
  for (let taken = 0; taken < 5; taken++) {
    const current = withFactorArrays(adapter, step.parameters);
    const { lossSum, gradients } = await runtime.gradients(current, batch, 1 / labels);
    losses.push(lossSum / labels);
    step = adamwUpdate(step, factorArrays(gradients), 1e-2, { weightDecay: 0.01 });
  }
  expectWithinGap(fixture, 'loss', [losses, values(golden, 'train.losses')]);
  const trained = withFactorArrays(adapter, step.parameters);
  const after = await runtime.labelLosses(trained, batch);
  expectWithinGap(fixture, 'loss', [[sum(after) / labels], values(golden, 'train.final_loss')]);
  for (const [name, array] of storedArrays(trained.modules, fixture, 'train')) {
    const tolerance = Math.max(FACTOR * gaps!.relativeL2.train, TRAINED);
    expect(relativeError(array, values(golden, name)), name).toBeLessThan(tolerance);
  }
}

/** The computed and the stored values. */
type Pair = readonly [found: ArrayLike<number>, expected: ArrayLike<number>];

/** Expects tensors to agree within ten times the reference's own gap, in the largest difference and in relative L2. */
export function expectWithinGap(fixture: GoldenCase, group: Group, [found, expected]: Pair, name?: string): void {
  const gaps = fixture.gaps!;
  expect(largestDifference(found, expected), name).toBeLessThan(FACTOR * gaps.maxAbs[group]);
  expect(relativeError(found, expected), name).toBeLessThan(FACTOR * gaps.relativeL2[group]);
}

/** Returns every array of the fixture's group by its stored name, and no other. */
function storedArrays(
  modules: ReadonlyMap<string, TrainableArrays>,
  { golden }: GoldenCase,
  group: 'grad' | 'train',
): [string, Float32Array][] {
  const arrays = [...modules].flatMap(([module, of]) =>
    trainableArrays(of).map(([name, array]): [string, Float32Array] => [`${group}.${factorKey(module, name)}`, array]),
  );
  const stored = [...golden.keys()].filter((name) => name.startsWith(`${group}.base_model.`));
  expect(arrays.map(([name]) => name).sort()).toEqual(stored.sort());
  return arrays;
}

/** Selects rows of a stored tensor [..., width] by their flat index. */
function rowsAt(golden: Tensors, name: string, { rows, width }: { rows: Int32Array; width: number }): number[] {
  return [...rows].flatMap((row) => Array.from(values(golden, name).subarray(row * width, (row + 1) * width)));
}
