import { COPY, isSamePoint, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import { propose } from './bayesian-optimization/proposal.ts';
import { observationsOf } from './observations.ts';
import { searchSpace, type SearchEvaluation, type SearchTask } from './search-task.ts';
import { spaceFillingStart } from './space-filling.ts';

/**
 * Smallest distance of a proposal to the evaluated points, with both ranges scaled to 1, so that evaluations are not
 * spent on known values.
 */
const SPACING = 0.05;

/**
 * Bayesian optimization of alpha and beta on the mean loss of the search rows. Unless its options say otherwise, it
 * starts from the known points, copy and revert, and then takes points that fill the space evenly. It spends its whole
 * budget.
 * @returns the point of the smallest loss
 * @throws RangeError for a loss that is not finite
 */
export async function searchCoefficients(task: SearchTask): Promise<Coefficients> {
  const { evaluations = 12, startsFromKnown = true } = task.options;
  const budget = Math.max(1, evaluations);
  const space = searchSpace(task.options);
  const known = startsFromKnown ? [COPY, REVERT].filter(({ alpha, beta }) => space.contains([alpha, beta])) : [];
  const starts = [...known, ...spaceFillingStart(space, budget, task.seed)];
  const measured: SearchEvaluation[] = [];
  while (measured.length < budget) measured.push(await evaluationOf(task, starts.shift() ?? proposed()));
  // Points measured before the search count as well, even if its budget left them out.
  const all = [...measured, ...task.history.filter(({ alpha, beta }) => space.contains([alpha, beta]))];
  const { alpha, beta } = all.reduce((least, next) => (next.loss < least.loss ? next : least));
  return { alpha, beta };

  function proposed(): Coefficients {
    const { point } = propose({ space, observations: observationsOf(measured), spacing: SPACING, seed: task.seed });
    const [alpha, beta] = point as readonly [number, number];
    return { alpha, beta };
  }
}

/**
 * Measures copy and revert. A search that follows and starts from known points does not measure them again.
 * @returns the loss of revert as a multiple of copy's, which shows how much the change of the base matters to the task
 * @throws RangeError for a loss that is not finite
 */
export async function revertedLoss(task: SearchTask): Promise<number> {
  const [copy, revert] = [await evaluationOf(task, COPY), await evaluationOf(task, REVERT)];
  return Math.max(revert.loss, Number.MIN_VALUE) / Math.max(copy.loss, Number.MIN_VALUE);
}

/** Measures a point, unless the history has it. */
async function evaluationOf(task: SearchTask, { alpha, beta }: Coefficients): Promise<SearchEvaluation> {
  const known = task.history.find((one) => isSamePoint(one, { alpha, beta }));
  if (known) return known;
  task.signal.throwIfAborted();
  const start = task.now();
  const loss = await task.loss(await task.fuse({ alpha, beta }));
  if (!Number.isFinite(loss))
    throw new RangeError(`loss at alpha ${alpha}, beta ${beta} is ${loss}, expected a finite number`);
  const evaluation = { alpha, beta, rows: task.rows, loss, ms: task.now() - start };
  await task.onEvaluation(evaluation);
  return evaluation;
}
