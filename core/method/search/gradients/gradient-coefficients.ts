import type { Adapter, TrainableArrays } from '../../../models/lora/adapter.ts';
import type { BaseModel } from '../../../models/base-model.ts';
import { coefficientGradients, directionSquares, stackedAdapter, sumByGroup } from './coefficient-gradients.ts';
import type { Coefficients } from '../../fusion/coefficients.ts';
import { doraRowProducts } from './dora-slopes.ts';
import type { Evolution } from '../../evolution/evolution.ts';
import { everyGroup, type GroupedCoefficients, type Grouping } from '../../fusion/grouping.ts';
import { refineCoefficients, type RefineOptions } from './refine-coefficients.ts';

export interface GradientCoefficientsTask {
  readonly adapter: Adapter;
  readonly evolution: Evolution;
  readonly grouping: Grouping;
  /** What every group begins with. */
  readonly start: Coefficients;
  /** The new base's, for an adapter of DoRA. */
  readonly weights?: BaseModel['weights'];
  /** Evaluations of an earlier, interrupted run, in order; they are not repeated. Default none. */
  readonly history?: readonly GradientEvaluation[];
  /** Mean completion loss on the search rows and its gradients with respect to the factors of an adapter of rank r + k. */
  lossAndGradients(adapter: Adapter): Promise<LossAndGradients>;
  /** Awaited after every evaluation that is not in the history. */
  onEvaluation?(evaluation: GradientEvaluation): Promise<void>;
}

/** What one evaluation found. Plain JSON: the coefficients follow from the evaluations before it. */
export interface GradientEvaluation {
  /** Null where it was not finite. */
  readonly loss: number | null;
  /** ∂loss/∂alpha and ∂loss/∂beta by group. */
  readonly slopes: Readonly<Record<string, Coefficients>>;
}

export interface LossAndGradients {
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, TrainableArrays>;
}

export interface GradientCoefficients {
  readonly coefficients: GroupedCoefficients;
  /** Of the target before it is truncated to the adapter's rank. */
  readonly loss: number;
  /** Every loss seen, the start's first. */
  readonly losses: readonly number[];
}

/**
 * Coefficients of every group by a few gradients in place of a search: a forward and a backward pass of the untruncated
 * target give the slopes of all groups at once. Steps are measured by how far they move the weights: the squared norms of
 * the two directions, summed over each group, are the metric of {@link refineCoefficients}. The loss is never larger than the
 * start's; truncated to the old rank an adapter may lose that again, so what is fused is to be evaluated itself.
 * @throws RangeError where DoRA lacks the base's weights, and for a start outside the bounds
 */
export async function gradientCoefficients(
  task: GradientCoefficientsTask,
  options: Omit<RefineOptions, 'metric'> = {},
): Promise<GradientCoefficients> {
  const { adapter, evolution, grouping } = task;
  const rows = adapter.config.useDora ? doraRowProducts(adapter, evolution, task.weights ?? new Map()) : null;
  const start = everyGroup(grouping, adapter.modules.keys(), task.start).values;
  const metric = sumByGroup(directionSquares(adapter, evolution), grouping);
  let count = 0;
  const evaluate = async (values: GroupedCoefficients['values']) => {
    const known = task.history?.[count++];
    if (known) return { loss: known.loss ?? NaN, slopes: new Map(Object.entries(known.slopes)) };
    const coefficients = { grouping, values };
    const { loss, gradients } = await task.lossAndGradients(stackedAdapter(adapter, evolution, coefficients));
    const byModule = coefficientGradients(adapter, evolution, gradients, rows ? { coefficients, rows } : undefined);
    const slopes = sumByGroup(byModule, grouping);
    await task.onEvaluation?.({ loss: Number.isFinite(loss) ? loss : null, slopes: Object.fromEntries(slopes) });
    return { loss, slopes };
  };
  const { values, loss, losses } = await refineCoefficients(evaluate, start, { ...options, metric });
  return { coefficients: { grouping, values }, loss, losses };
}
