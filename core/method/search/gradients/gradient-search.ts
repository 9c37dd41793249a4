import type { BaseModel } from '../../../models/base-model.ts';
import type { Adapter, TrainableArrays } from '../../../models/lora/adapter.ts';
import type { Evolution } from '../../evolution/evolution.ts';
import type { Coefficients } from '../../fusion/coefficients.ts';
import { everyGroup, type GroupedCoefficients, type Grouping } from '../../fusion/grouping.ts';
import { coefficientGradients, directionSquares, stackedAdapter, sumByGroup } from './coefficient-gradients.ts';
import { doraRowProducts } from './dora-slopes.ts';
import { projectedGradient, type ProjectedGradientOptions } from './spectral-projected-gradient.ts';

interface GradientSearchTask {
  readonly adapter: Adapter;
  readonly evolution: Evolution;
  readonly grouping: Grouping;
  /** The coefficients from which every group starts. */
  readonly start: Coefficients;
  /** Weights of the new base; only a DoRA adapter needs them. */
  readonly weights?: BaseModel['weights'];
  /** Evaluations of an earlier, interrupted run, in their order. They are not repeated. Default none. */
  readonly history?: readonly GradientEvaluation[];
  /** Mean completion loss on the search rows, and its gradients with respect to the factors of an adapter of rank r + k. */
  lossAndGradients(adapter: Adapter): Promise<LossAndGradients>;
  /** Awaited after every evaluation that is not in the history. */
  onEvaluation?(evaluation: GradientEvaluation): Promise<void>;
}

/** The result of one evaluation. Plain JSON; its coefficients follow from the evaluations before it. */
export interface GradientEvaluation {
  /** Null if the loss was not finite. */
  readonly loss: number | null;
  /** ∂loss/∂alpha and ∂loss/∂beta by group. */
  readonly slopes: Readonly<Record<string, Coefficients>>;
}

export interface LossAndGradients {
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, TrainableArrays>;
}

interface GradientSearchResult {
  readonly coefficients: GroupedCoefficients;
  /** Loss of the full update, before it is truncated to the adapter's rank. */
  readonly loss: number;
  /** The losses of all evaluations; the first is that of the start. */
  readonly losses: readonly number[];
}

/**
 * Searches for coefficients of every group by a few gradient steps (ours). One forward and backward pass of the full,
 * untruncated update gives the slopes of all groups at once. The step lengths take into account how far the weights move:
 * the squared norms of the two directions, summed over each group, precondition the steps. The loss is never larger than
 * at the start. Truncated to the old rank, however, an adapter may lose this gain again, so the fused adapter must be
 * evaluated itself.
 * @throws RangeError if a DoRA adapter comes without the base's weights, or if the start is outside the bounds
 */
export async function searchByGradients(
  task: GradientSearchTask,
  options: Omit<ProjectedGradientOptions, 'preconditioner'> = {},
): Promise<GradientSearchResult> {
  const { adapter, evolution, grouping } = task;
  const rows = adapter.config.useDora ? doraRowProducts(adapter, evolution, task.weights ?? new Map()) : null;
  const start = everyGroup(grouping, adapter.modules.keys(), task.start).values;
  const preconditioner = sumByGroup(directionSquares(adapter, evolution), grouping);
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
  const { values, loss, losses } = await projectedGradient(evaluate, start, { ...options, preconditioner });
  return { coefficients: { grouping, values }, loss, losses };
}
