import type { Runtime } from '../engine/runtime.ts';
import { adamwInit, adamwUpdate, type Arrays } from '../training/optimizer/adamw.ts';
import { clipGlobalNorm } from '../training/optimizer/clipping.ts';
import { factorArrays, withFactorArrays } from '../training/optimizer/factors.ts';
import { withRuntimes, type Compared } from './compare.ts';
import type { TrainingResult } from './check-report.ts';
import { randomAdapter, randomBase, randomBatch, tinyConfig } from './random-model.ts';

const STEPS = 5;
const LEARNING_RATE = 1e-2;
const TOLERANCE = 1e-3;

interface Trained {
  /** Loss of each training step, in nats a label. */
  readonly losses: number[];
  readonly factors: Arrays;
}

/** Trains a small adapter for a few steps on both devices from the same start. */
export async function compareTraining(compared: Compared): Promise<TrainingResult> {
  const common = { steps: STEPS, tolerance: TOLERANCE };
  try {
    const [found, expected] = await withRuntimes(
      compared,
      randomBase(tinyConfig({})),
      'f32',
      async ([tested, reference]) => {
        return [await trainSteps(tested), await trainSteps(reference)] as const;
      },
    );
    const losses = Math.max(...expected.losses.map((loss, step) => Math.abs(loss - found.losses[step]!)));
    const factors = relativeError(found.factors, expected.factors);
    const learned = expected.losses.at(-1)! < expected.losses[0]!;
    return { ...common, losses, factors, passed: learned && losses <= TOLERANCE && factors <= TOLERANCE, error: null };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ...common, losses: null, factors: null, passed: false, error: message };
  }
}

async function trainSteps(runtime: Runtime): Promise<Trained> {
  const initial = randomAdapter(runtime.base, 4, false);
  const batch = randomBatch(runtime.base.config.vocabSize, [9, 7, 8, 5], 3);
  const labels = batch.labelIds.length;
  let parameters = factorArrays(initial.modules);
  let state = adamwInit(parameters);
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const result = await runtime.gradients(withFactorArrays(initial, parameters), batch, 1 / labels);
    losses.push(result.lossSum / labels);
    const gradients = factorArrays(result.gradients);
    clipGlobalNorm(gradients, 1);
    ({ parameters, state } = adamwUpdate({ parameters, state }, gradients, LEARNING_RATE, { weightDecay: 0.01 }));
  }
  return { losses, factors: parameters };
}

/** Returns ‖a − b‖ / ‖b‖ over all arrays together, where a are the arrays found and b the expected ones. */
function relativeError(found: Arrays, expected: Arrays): number {
  let [difference, norm] = [0, 0];
  for (const [name, values] of expected) {
    for (const [i, value] of values.entries()) {
      difference += (found.get(name)![i]! - value) ** 2;
      norm += value ** 2;
    }
  }
  return Math.sqrt(difference / norm);
}
