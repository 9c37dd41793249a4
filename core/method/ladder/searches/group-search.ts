import { searchOrder } from '../../search/search-task.ts';
import {
  clampCoefficients,
  COPY,
  isSamePoint,
  REVERT,
  type CoefficientBounds,
  type Coefficients,
} from '../../fusion/coefficients.ts';
import { searchByGradients } from '../../search/gradients/gradient-search.ts';
import type { GroupedCoefficients, Grouping } from '../../fusion/grouping.ts';
import type { Ladder } from '../ladder.ts';

/** Number of evaluations with gradients, after the one at the start. */
const STEPS = 6;

/**
 * Finds coefficients for every group by following a few gradients on the search rows. It starts from copy or revert,
 * whichever has the smaller loss there. Evaluations that the ladder has recorded before are not repeated.
 */
export async function searchGroups(
  ladder: Ladder,
  grouping: Grouping,
  bounds: Required<CoefficientBounds>,
): Promise<GroupedCoefficients> {
  const { context } = ladder;
  const { evolution } = ladder.fused;
  const task = {
    adapter: context.oldAdapter,
    evolution,
    grouping,
    start: await chooseStart(ladder, bounds),
    weights: context.baseWeights,
    history: ladder.gradientHistory,
    lossAndGradients: context.searchRowGradients.bind(context),
    onEvaluation: ladder.recordGradients.bind(ladder),
  };
  const { coefficients } = await searchByGradients(task, { ...bounds, steps: STEPS, signal: context.signal });
  return coefficients;
}

/** Moves copy and revert into the bounds and returns the better one; measures only if they still differ. */
async function chooseStart(ladder: Ladder, bounds: Required<CoefficientBounds>): Promise<Coefficients> {
  const [copy, revert] = [clampCoefficients(COPY, bounds), clampCoefficients(REVERT, bounds)];
  if (isSamePoint(copy, revert)) return copy;
  return (await searchRowLoss(ladder, revert)) < (await searchRowLoss(ladder, copy)) ? revert : copy;
}

/** Returns the mean loss of the fused adapter on all search rows. */
async function searchRowLoss(ladder: Ladder, point: Coefficients): Promise<number> {
  const { alpha, beta } = point;
  const { context, searchHistory } = ladder;
  const tokens = context.searchRowTokens;
  const rows = tokens.length;
  const known = searchHistory.find((one) => isSamePoint(one, point) && one.rows === rows);
  if (known) return known.loss;
  context.signal.throwIfAborted();
  const begun = ladder.now();
  const adapter = await ladder.fused.at({ alpha, beta });
  const [losses] = await context.searchRowLosses([adapter], searchOrder(context.seed, rows));
  const rowLosses = Array.from(losses!);
  const loss = rowLosses.reduce((sum, one) => sum + one, 0) / tokens.reduce((sum, count) => sum + count, 0);
  if (!Number.isFinite(loss))
    throw new RangeError(`loss at alpha ${alpha}, beta ${beta} is ${loss}, expected a finite number`);
  await ladder.recordSearch({ alpha, beta, rows, loss, ms: ladder.now() - begun, rowLosses }, STARTS);
  return loss;
}

/** Number of starting points that a search by gradients measures. */
const STARTS = 2;
