import { COPY, isSamePoint, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import { propose } from './bayesian-optimization/proposal.ts';
import { observationsOf } from './observations.ts';
import { searchSpace, type SearchEvaluation, type SearchTask } from './search-task.ts';
import { spaceFillingStart } from './space-filling.ts';

/**
 * Smallest distance between a proposed point and those already measured, with the ranges of α and β scaled to 1. Nearer
 * points would tell little new.
 */
const SPACING = 0.05;

/**
 * Searches for the fusion coefficients α and β with the smallest mean loss on the search rows, by Bayesian
 * optimization. Unless the task's options say otherwise, the search measures copy and revert first, then points that
 * fill the space evenly, and then those that the model proposes. It always spends its whole budget of evaluations.
 * @returns the coefficients with the smallest loss
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
 * Measures copy and revert on the search rows, unless the task's history has them. A later search finds both in its
 * history.
 * @returns the loss of revert as a multiple of copy's, which shows how much the change of the base matters to the task
 * @throws RangeError for a loss that is not finite
 */
export async function revertedLoss(task: SearchTask): Promise<number> {
  const [copy, revert] = [await evaluationOf(task, COPY), await evaluationOf(task, REVERT)];
  return Math.max(revert.loss, Number.MIN_VALUE) / Math.max(copy.loss, Number.MIN_VALUE);
}

/** Returns the evaluation of these coefficients from the task's history; if it has none, measures their loss. */
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
