import { searchOrder } from '../search/search-task.ts';
import {
  clampCoefficients,
  COPY,
  isSamePoint,
  REVERT,
  type CoefficientBounds,
  type Coefficients,
} from '../fusion/coefficients.ts';
import { searchByGradients } from '../search/gradients/gradient-search.ts';
import type { GroupedCoefficients, Grouping } from '../fusion/grouping.ts';
import type { Ladder } from './ladder.ts';

/** Evaluations with gradients after the start's own. */
const STEPS = 6;

/**
 * Coefficients of every group by a few gradients on the search rows, from copy or revert, whichever has the smaller loss
 * there. Evaluations that the ladder has recorded before are not repeated.
 */
export async function searchGroups(
  ladder: Ladder,
  grouping: Grouping,
  bounds: Required<CoefficientBounds>,
): Promise<GroupedCoefficients> {
  const { context, evolution } = ladder;
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

/** Copy or revert, moved into the bounds; measured only where that leaves two of them. */
async function chooseStart(ladder: Ladder, bounds: Required<CoefficientBounds>): Promise<Coefficients> {
  const [copy, revert] = [clampCoefficients(COPY, bounds), clampCoefficients(REVERT, bounds)];
  if (isSamePoint(copy, revert)) return copy;
  return (await searchRowLoss(ladder, revert)) < (await searchRowLoss(ladder, copy)) ? revert : copy;
}

/** Mean loss of the fused adapter on all search rows. */
async function searchRowLoss(ladder: Ladder, point: Coefficients): Promise<number> {
  const { alpha, beta } = point;
  const { context, searchHistory } = ladder;
  const tokens = context.searchRowTokens;
  const rows = tokens.length;
  const known = searchHistory.find((one) => isSamePoint(one, point) && one.rows === rows);
  if (known) return known.loss;
  context.signal.throwIfAborted();
  const begun = ladder.now();
  const rowLosses = Array.from(
    await context.searchRowLosses(ladder.fused({ alpha, beta }), searchOrder(context.seed, rows)),
  );
  const loss = rowLosses.reduce((sum, one) => sum + one, 0) / tokens.reduce((sum, count) => sum + count, 0);
  if (!Number.isFinite(loss))
    throw new RangeError(`loss at alpha ${alpha}, beta ${beta} is ${loss}, expected a finite number`);
  await ladder.recordSearch({ alpha, beta, rows, loss, ms: ladder.now() - begun, rowLosses }, STARTS);
  return loss;
}

/** Points that a search by gradients measures as they are fused. */
const STARTS = 2;
