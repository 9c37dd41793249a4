import { COPY, isSamePoint, NOTHING, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import { propose } from './bayesian-optimization/proposal.ts';
import type { Space } from './bayesian-optimization/space.ts';
import { relativeObservations } from './relative-losses.ts';
import { isWithinNoise, RowMeasurements, summedLoss, type PointLosses } from './row-measurements.ts';
import { observationsOf, spaceFillingStart } from './space-filling.ts';
import { searchSpace, STEP_GAIN, type SearchTask } from './search-task.ts';

/** Number of rows on which points are compared before a search. */
const FIRST_ROWS = 16;

/** Cost of a row in a training step, in forward passes of a row: one forward pass, and a backward pass that costs two. */
const TRAINING_PASSES = 3;

/**
 * What fusing a point counts as, in forward passes of a row. It was measured (28 at 135 million parameters, 35 at 3 million)
 * when fusing took more than twice as long; a smaller number would let searches go on longer and was not tried.
 */
const FUSION_ROWS = 30;

/**
 * Number of the model's first proposals that are measured whatever improvement the model expects, because a model of three
 * points knows too little to stop the search.
 */
const UNCONDITIONAL_PROPOSALS = 2;

export interface SearchResult extends Coefficients {
  /** Why the search ended: its budget of evaluations was spent, or training makes better use of the time. */
  readonly stopped: 'budget' | 'not_worthwhile';
}

/**
 * Bayesian optimization of alpha and beta on the loss of the search rows, from copy, revert and nothing. Time is counted in
 * rows and not by the clock, so that equal seeds and rows give equal searches.
 * @returns the point of the smallest loss, or copy, revert or nothing if one of them is within its noise
 * @throws RangeError for a loss that is not finite
 */
export async function searchCoefficients(task: SearchTask): Promise<SearchResult> {
  const search = new Search(task);
  for (let next = search.next(); next; next = search.next()) await search.measure(next);
  return { ...search.choose(), stopped: search.stopped };
}

/** What is known before any search. */
export type Known = 'copy' | 'revert';

/**
 * Compares copy and revert on the first rows only, in one pass over these rows. A search that follows measures them on the
 * other rows alone if these evaluations are in its history.
 * @returns the one that is clearly better, by more than one standard error of the difference; null if neither is
 */
export async function compareKnown(task: SearchTask): Promise<Known | null> {
  const measurements = new RowMeasurements(task);
  const { tokens } = measurements;
  const rows = Math.min(FIRST_ROWS, tokens.length);
  const [copy, revert] = (await measurements.measure([COPY, REVERT], rows)) as [PointLosses, PointLosses];
  if (!isWithinNoise(copy, revert, tokens)) return 'revert';
  return isWithinNoise(revert, copy, tokens) ? null : 'copy';
}

class Search {
  stopped: SearchResult['stopped'] = 'budget';
  readonly #task: SearchTask;
  readonly #measurements: RowMeasurements;
  readonly #space: Space;
  /** Whether the search starts from points that fill the space, and from nothing that is known. */
  readonly #fillsSpace: boolean;
  /** Points that are preferred to others of hardly smaller loss. */
  readonly #named: readonly Coefficients[];
  /** Points that are measured before the model proposes any. */
  readonly #starts: Coefficients[];
  readonly #measured: PointLosses[] = [];
  /** Number of proposals that are still measured unconditionally. */
  #unconditional = UNCONDITIONAL_PROPOSALS;

  constructor(task: SearchTask) {
    const { options } = task;
    const space = searchSpace(options);
    this.#task = task;
    this.#measurements = new RowMeasurements(task);
    this.#space = space;
    this.#fillsSpace = options.start === 'space_filling';
    this.#named = this.#fillsSpace ? [] : [REVERT, NOTHING].filter(({ alpha, beta }) => space.contains([alpha, beta]));
    this.#starts = this.#fillsSpace
      ? spaceFillingStart(space, this.#measurements.budget, task.seed)
      : [COPY, ...this.#named];
  }

  /** The next point to measure, or null if the search is over. */
  next(): Coefficients | null {
    const { records, budget } = this.#measurements;
    if (this.#measured.length >= budget) return null;
    const start = this.#starts.shift();
    if (start) return start;
    const { point, improvement } = propose({
      space: this.#space,
      observations: this.#fillsSpace ? observationsOf(records) : relativeObservations(records),
      spacing: this.#task.options.spacing,
      named: this.#named.map(({ alpha, beta }) => [alpha, beta]),
      seed: this.#task.seed,
    });
    if (this.#unconditional-- > 0 || improvement >= this.#worthOfPoint()) {
      const [alpha, beta] = point as readonly [number, number];
      return { alpha, beta };
    }
    this.stopped = 'not_worthwhile';
    return null;
  }

  /** Measures a point on all rows. */
  async measure(point: Coefficients): Promise<void> {
    this.#measured.push(...(await this.#measurements.measure([point])));
  }

  /**
   * Chooses the result: the smallest loss; but copy, revert or nothing, in this order, if it is within one standard error of
   * that point (the one-standard-error rule: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984,
   * section 3.4.3).
   */
  choose(): Coefficients {
    const { oneStandardError = true } = this.#task.options;
    const best = this.#measured.reduce((least, next) => (summedLoss(next) < summedLoss(least) ? next : least));
    if (this.#fillsSpace || !oneStandardError) return best.point;
    const named = [COPY, ...this.#named].map((name) => this.#measured.find(({ point }) => isSamePoint(point, name)));
    return (named.find((one) => one && isWithinNoise(one, best, this.#measurements.tokens)) ?? best).point;
  }

  /** What training would gain in the time that one more point takes, as a share of the loss. */
  #worthOfPoint(): number {
    const { stepGain = STEP_GAIN, batchSize = 16 } = this.#task.options;
    const rows = FUSION_ROWS + this.#measurements.tokens.length;
    return (stepGain * rows) / (TRAINING_PASSES * batchSize);
  }
}
