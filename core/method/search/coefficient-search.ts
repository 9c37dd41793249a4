import { COPY, isSamePoint, NOTHING, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import { propose } from './bayesian-optimization/proposal.ts';
import type { Space } from './bayesian-optimization/space.ts';
import { relativeObservations } from './relative-losses.ts';
import { RowMeasurements, summedLoss, type Contender } from './row-measurements.ts';
import { compare, isWithinNoise } from './search-race.ts';
import { observationsOf, spaceFillingStart } from './space-filling.ts';
import { searchSpace, STEP_GAIN, type SearchTask } from './search-task.ts';

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
 * @returns the point of the smallest loss on the same rows, or copy, revert or nothing if one of them is within its noise
 * @throws RangeError for a loss that is not finite
 */
export async function searchCoefficients(task: SearchTask): Promise<SearchResult> {
  const search = new Search(task);
  let best = await search.begin();
  for (let next = search.next(); next; next = search.next()) best = await search.race(next, best);
  return { ...search.choose(best), stopped: search.stopped };
}

/** What is known before any search. */
export type Known = 'copy' | 'revert';

/**
 * Compares copy and revert on the rows of the first stage only, in one pass over these rows. A search that follows continues
 * from these evaluations if they are in its history.
 * @returns the one that is clearly better, by more than one standard error of the difference; null if neither is
 */
export async function compareKnown(task: SearchTask): Promise<Known | null> {
  const measurements = new RowMeasurements(task);
  const [copy, revert] = (await measurements.addAll([COPY, REVERT])) as [Contender, Contender];
  if (!isWithinNoise(copy, revert, measurements.tokens)) return 'revert';
  return isWithinNoise(revert, copy, measurements.tokens) ? null : 'copy';
}

class Search {
  stopped: SearchResult['stopped'] = 'budget';
  readonly #task: SearchTask;
  readonly #measurements: RowMeasurements;
  readonly #space: Space;
  readonly #racing: boolean;
  /** Whether the search starts from points that fill the space, and from nothing that is known. */
  readonly #fillsSpace: boolean;
  /** Points that are preferred to others of hardly smaller loss. */
  readonly #named: readonly Coefficients[];
  /** Points that are measured before the model proposes any. */
  readonly #starts: Coefficients[];
  /** Number of proposals that are still measured unconditionally. */
  #unconditional = UNCONDITIONAL_PROPOSALS;

  constructor(task: SearchTask) {
    const { options } = task;
    const space = searchSpace(options);
    this.#task = task;
    this.#measurements = new RowMeasurements(task);
    this.#space = space;
    this.#fillsSpace = options.start === 'space_filling';
    this.#racing = !this.#fillsSpace && (options.racing ?? true);
    this.#named = this.#fillsSpace ? [] : [REVERT, NOTHING].filter(({ alpha, beta }) => space.contains([alpha, beta]));
    this.#starts = this.#fillsSpace ? spaceFillingStart(space, this.#measurements.budget, task.seed) : [...this.#named];
  }

  /** Measures the first incumbent, which is copy unless the search starts from points that fill the space. */
  begin(): Promise<Contender> {
    return this.#measurements.add(this.#fillsSpace ? this.#starts.shift()! : COPY);
  }

  /** The next point to measure, or null if the search is over. */
  next(): Coefficients | null {
    const { contenders, records, budget } = this.#measurements;
    if (contenders.length >= budget) return null;
    const start = this.#starts.shift();
    if (start) return start;
    const { point, improvement } = propose({
      space: this.#space,
      observations: this.#fillsSpace ? observationsOf(records) : relativeObservations(records),
      spacing: this.#task.options.spacing,
      named: this.#named.map(({ alpha, beta }) => [alpha, beta]),
      seed: this.#task.seed,
    });
    const rows = records.reduce((sum, { rowLosses }) => sum + rowLosses.length, 0) / contenders.length;
    if (this.#unconditional-- > 0 || improvement >= this.#worthOf(FUSION_ROWS + rows)) {
      const [alpha, beta] = point as readonly [number, number];
      return { alpha, beta };
    }
    this.stopped = 'not_worthwhile';
    return null;
  }

  /**
   * Measures a challenger and, as far as necessary, the incumbent on more and more common rows, until one of them is
   * confidently better or the next rows cost more than they promise to gain. If neither is, the incumbent stays.
   * @returns the winner
   */
  async race(point: Coefficients, incumbent: Contender): Promise<Contender> {
    const { stages, tokens } = this.#measurements;
    const challenger = await this.#measurements.add(point);
    for (const [stage, rows] of stages.entries()) {
      await this.#measurements.measure(challenger, rows);
      await this.#measurements.measure(incumbent, rows);
      if (!this.#racing) {
        const isBetter = summedLoss(challenger) < summedLoss(incumbent);
        return isBetter ? drop(incumbent, challenger) : drop(challenger, incumbent);
      }
      const { outcome, expectedGain } = compare(challenger, incumbent, tokens);
      if (outcome !== 'undecided') {
        const [loser, winner] = outcome === 'better' ? [incumbent, challenger] : [challenger, incumbent];
        loser.isBeaten = true;
        return drop(loser, winner);
      }
      const next = stages[stage + 1] ?? rows;
      const cost = next - rows + Math.max(0, next - incumbent.rows);
      if (expectedGain < this.#worthOf(cost)) break;
    }
    return drop(challenger, incumbent);
  }

  /**
   * Chooses the result: among the points that no other is confidently better than, the smallest loss on the same rows; but
   * copy, revert or nothing, in this order, if it is within one standard error of that point (the one-standard-error rule:
   * Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984, section 3.4.3). The winner of the last
   * race only tells which rows to compare on: among similar points it is a matter of chance.
   */
  choose(winner: Contender): Coefficients {
    if (!this.#racing) return winner.point;
    const { contenders, tokens } = this.#measurements;
    const left = contenders.filter(({ isBeaten }) => !isBeaten);
    const measured = left.filter(({ rows }) => rows >= winner.rows);
    const best = measured.reduce((least, next) =>
      summedLoss(next, winner.rows) < summedLoss(least, winner.rows) ? next : least,
    );
    const named = [COPY, ...this.#named].map((name) => left.find(({ point }) => isSamePoint(point, name)));
    return (named.find((contender) => contender && isWithinNoise(contender, best, tokens)) ?? best).point;
  }

  /** What training would gain in the time of so many forward passes of a row, as a share of the loss. */
  #worthOf(rows: number): number {
    const { stepGain = STEP_GAIN, batchSize = 16 } = this.#task.options;
    return (stepGain * rows) / (TRAINING_PASSES * batchSize);
  }
}

/** Releases the adapter of a race's loser, which is not measured again, and returns the winner. */
function drop(loser: Contender, winner: Contender): Contender {
  loser.adapter = null;
  return winner;
}
