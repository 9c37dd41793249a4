import type { Adapter } from '../../models/lora/adapter.ts';
import { Random } from '../../statistics/random.ts';
import { propose } from './bayesian-optimization/proposal.ts';
import { Space } from './bayesian-optimization/space.ts';
import {
  ALPHA_BOUNDS,
  BETA_BOUNDS,
  COPY,
  isSamePoint,
  NOTHING,
  REVERT,
  type CoefficientBounds,
  type Coefficients,
} from '../fusion/coefficients.ts';
import { fleetObservations, type FleetSearches } from './fleet-prior.ts';
import type { SearchRecord } from './relative-losses.ts';
import { compare, isWithinNoise, looks, type MeasuredRows } from './search-race.ts';

export interface SearchOptions extends CoefficientBounds {
  /** Points measured at most, copy included. Default 12. */
  readonly evaluations?: number;
  /**
   * Share of the loss that one training step takes away. The search ends where it expects less of its time than training
   * would make of it. 0 spends the whole budget. Default {@link STEP_GAIN}.
   */
  readonly stepGain?: number;
  /** Rows of a training step. Default 16. */
  readonly batchSize?: number;
  /**
   * Default true: points are measured on more and more rows, only as far as it takes to tell them apart, and copy, revert or
   * nothing wins where it is within noise of the best. False is the paper's way: all rows for every point, the smallest
   * loss wins.
   */
  readonly racing?: boolean;
}

/** One evaluation: a point's loss on the rows that it had before and some more. */
export interface SearchEvaluation extends SearchRecord {
  readonly ms: number;
  /** Summed completion loss of each of the rows that were added, in the search's order; nats. */
  readonly rowLosses: readonly number[];
}

export interface SearchTask {
  readonly options: SearchOptions;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Evaluations of an earlier, interrupted search; they are not repeated. */
  readonly history: readonly SearchEvaluation[];
  /** Completion tokens of every search row. */
  readonly rowTokens: readonly number[];
  /** What finished jobs found. Default nothing. */
  readonly fleet?: FleetSearches | undefined;
  /** Points that were compared with copy before; with a fleet the search starts from them. Default revert. */
  readonly compared?: readonly Coefficients[] | undefined;
  fuse(coefficients: Coefficients): Adapter;
  /** Summed completion losses (nats) of the search rows with these indices, in their order. */
  rowLosses(adapter: Adapter, rows: readonly number[]): Promise<ArrayLike<number>>;
  onEvaluation(evaluation: SearchEvaluation, budget: number): Promise<void>;
  now(): number;
}

export interface SearchResult extends Coefficients {
  /** Why nothing more was measured: the budget was spent, or training makes more of the time. */
  readonly stopped: 'budget' | 'not_worthwhile';
}

/** See {@link SearchOptions.stepGain}; measured on the demo family (docs/method.md). */
export const STEP_GAIN = 0.01;

/** What a training step costs by row, in forward passes of a row: one, and a backward pass of two. */
const TRAINING_PASSES = 3;

/** What fusing a point costs, in forward passes of a row (measured: 28 at 135 million parameters, 35 at 3 million). */
const FUSION_ROWS = 30;

/** Points that a model which knows no other task proposes before its word counts that nothing is to be gained. */
const UNDOUBTED = 2;

/** The region that is searched. */
export function searchSpace({ alphaBounds = ALPHA_BOUNDS, betaBounds = BETA_BOUNDS }: CoefficientBounds = {}): Space {
  return new Space([alphaBounds, betaBounds].map(([low, high]) => ({ low, high })));
}

/** Indices of the search rows in the order in which they are measured. */
export function searchOrder(seed: number, rows: number): number[] {
  return Random.fromSeed(seed).shuffle(Array.from({ length: rows }, (_, row) => row));
}

/**
 * Bayesian optimization of alpha and beta on the search rows' loss. It starts from copy, revert and nothing, or from copy,
 * what was compared before and what the fleet's finished searches promise. Times are counted in rows and not by the clock,
 * so that equal seeds, rows and fleets give equal searches.
 * @returns the smallest loss on the same rows, or what has a name (copy, revert, nothing) within its noise
 */
export async function searchCoefficients(task: SearchTask): Promise<SearchResult> {
  const search = new Search(task);
  let best = await search.begin();
  for (let next = search.next(); next; next = search.next()) best = await search.race(next, best);
  return { ...search.choose(best), stopped: search.stopped };
}

/** A point that is clearly worse than another on the same rows: by more than one standard error of the difference. */
export interface ClearlyWorse {
  readonly point: Coefficients;
  readonly than: Coefficients;
}

/** What a first look at points has shown. */
export interface FirstLook {
  readonly worse: readonly ClearlyWorse[];
  readonly records: readonly SearchRecord[];
}

/** Compares copy and other points on the first rows alone, which a search that follows goes on from. */
export async function compareCoefficients(task: SearchTask, points: readonly Coefficients[]): Promise<FirstLook> {
  const search = new Search(task);
  return { worse: await search.lookAt([COPY, ...points]), records: search.records };
}

/** A point under measurement. */
interface Contender extends Coefficients, MeasuredRows {
  rows: number;
  /** Made when it is needed. */
  adapter: Adapter | null;
  /** Another one is surely better. */
  isBeaten: boolean;
}

class Search {
  stopped: SearchResult['stopped'] = 'budget';
  readonly #task: SearchTask;
  readonly #space: Space;
  readonly #budget: number;
  readonly #racing: boolean;
  /** Of adapters of which the model can learn something. */
  readonly #hasFleet: boolean;
  /** Points that are preferred to others that promise hardly more. */
  readonly #named: readonly Coefficients[];
  /** Points that are measured before the model is asked. */
  readonly #starts: Coefficients[];
  /** Indices of the search rows in the order in which they are used, the same for every point. */
  readonly #order: readonly number[];
  readonly #tokens: readonly number[];
  readonly #looks: readonly number[];
  readonly #records: SearchEvaluation[] = [];
  readonly #undoubted: number;
  readonly #contenders: Contender[] = [];
  #proposals = 0;

  constructor(task: SearchTask) {
    const { evaluations = 12, racing = true } = task.options;
    this.#task = task;
    this.#space = searchSpace(task.options);
    this.#budget = Math.max(1, evaluations);
    this.#racing = racing;
    this.#hasFleet = fleetObservations(task.fleet ?? []).others.length > 0;
    this.#undoubted = this.#hasFleet ? 0 : UNDOUBTED;
    this.#named = [REVERT, NOTHING].filter((point) => this.#isInside(point));
    const { compared = [REVERT] } = task;
    const starts = this.#hasFleet ? compared : this.#named;
    this.#starts = starts.filter((point) => this.#isInside(point));
    this.#order = searchOrder(task.seed, task.rowTokens.length);
    this.#tokens = this.#order.map((row) => task.rowTokens[row]!);
    this.#looks = looks(this.#order.length, racing ? undefined : this.#order.length);
  }

  get records(): readonly SearchEvaluation[] {
    return this.#records;
  }

  /** Measures points on the first rows. @returns those that are clearly worse than another one, the best of such */
  async lookAt(points: readonly Coefficients[]): Promise<ClearlyWorse[]> {
    const contenders = points.map((point) => this.#contender(point));
    for (const contender of contenders) await this.#measure(contender, this.#looks[0]!);
    const ranked = contenders.toSorted((a, b) => sumOf(a) - sumOf(b));
    return contenders.flatMap((point) => {
      const than = ranked.find((other) => !isWithinNoise(point, other, this.#tokens));
      return than ? [{ point: coefficientsOf(point), than: coefficientsOf(than) }] : [];
    });
  }

  /** Measures copy, which is the first incumbent. */
  async begin(): Promise<Contender> {
    const copy = this.#contender(COPY);
    await this.#measure(copy, this.#looks[0]!);
    return copy;
  }

  /** The next point to measure, or null where the search is over. */
  next(): Coefficients | null {
    if (this.#contenders.length >= this.#budget) return null;
    const start = this.#starts.shift();
    if (start) return start;
    const { point, improvement } = propose({
      space: this.#space,
      ...fleetObservations(this.#task.fleet ?? [], this.#records),
      named: this.#named.map(({ alpha, beta }) => [alpha, beta]),
      seed: this.#task.seed,
    });
    const rows =
      FUSION_ROWS + this.#records.reduce((sum, { rowLosses }) => sum + rowLosses.length, 0) / this.#contenders.length;
    if (this.#proposals++ < this.#undoubted || improvement >= this.#worthOf(rows))
      return { alpha: point[0]!, beta: point[1]! };
    this.stopped = 'not_worthwhile';
    return null;
  }

  /**
   * Measures a challenger and, as far as that is needed, the incumbent on more and more common rows until either is
   * surely better, or the next rows cost more than they can be expected to gain. In doubt the incumbent stays.
   * @returns the winner
   */
  async race(point: Coefficients, incumbent: Contender): Promise<Contender> {
    const challenger = this.#contender(point);
    const lost = (sure: boolean): Contender => winnerOver(challenger, incumbent, sure);
    const won = (sure: boolean): Contender => winnerOver(incumbent, challenger, sure);
    for (const [look, rows] of this.#looks.entries()) {
      await this.#measure(challenger, rows);
      await this.#measure(incumbent, rows);
      if (!this.#racing) return sumOf(challenger) < sumOf(incumbent) ? won(false) : lost(false);
      const { verdict, expectedGain } = compare(challenger, incumbent, this.#tokens);
      if (verdict !== 'open') return verdict === 'better' ? won(true) : lost(true);
      const next = this.#looks[look + 1] ?? rows;
      const cost = next - rows + Math.max(0, next - incumbent.rows);
      if (expectedGain < this.#worthOf(cost)) break;
    }
    return lost(false);
  }

  /**
   * Of what is not surely worse, the smallest loss on the same rows; but copy, revert or nothing, in this order, where it is
   * within one standard error of that (the one-standard-error rule: Breiman, Friedman, Olshen and Stone, Classification
   * and Regression Trees, 1984, section 3.4.3). Who won last is no measure: among points that are alike that is chance.
   */
  choose(winner: Contender): Coefficients {
    if (!this.#racing) return coefficientsOf(winner);
    const left = this.#contenders.filter(({ isBeaten }) => !isBeaten);
    const measured = left.filter(({ rows }) => rows >= winner.rows);
    const best = measured.reduce((least, next) =>
      sumOf(next, winner.rows) < sumOf(least, winner.rows) ? next : least,
    );
    const named = [COPY, ...this.#named].map((point) => left.find((contender) => isSamePoint(contender, point)));
    return coefficientsOf(named.find((contender) => contender && isWithinNoise(contender, best, this.#tokens)) ?? best);
  }

  /** What training would gain in the time of so many rows' forward passes, as a share of the loss. */
  #worthOf(rows: number): number {
    const { stepGain = STEP_GAIN, batchSize = 16 } = this.#task.options;
    return (stepGain * rows) / (TRAINING_PASSES * batchSize);
  }

  #contender({ alpha, beta }: Coefficients): Contender {
    const contender = {
      alpha,
      beta,
      rows: 0,
      losses: new Float64Array(this.#order.length),
      adapter: null,
      isBeaten: false,
    };
    this.#contenders.push(contender);
    return contender;
  }

  /** Measures a point on all the rows up to a number, as one evaluation a look, or takes over what is known of them. */
  async #measure(contender: Contender, upTo: number): Promise<void> {
    for (const rows of this.#looks.filter((count) => count > contender.rows && count <= upTo)) {
      const known = this.#known(contender, rows);
      const evaluation = known ?? (await this.#evaluate(contender, rows));
      contender.losses.set(evaluation.rowLosses, contender.rows);
      contender.rows = rows;
      this.#records.push(evaluation);
      if (!known) await this.#task.onEvaluation(evaluation, this.#budget);
    }
  }

  async #evaluate(contender: Contender, rows: number): Promise<SearchEvaluation> {
    const task = this.#task;
    task.signal.throwIfAborted();
    const start = task.now();
    const { alpha, beta } = contender;
    contender.adapter ??= task.fuse({ alpha, beta });
    const added = Array.from(await task.rowLosses(contender.adapter, this.#order.slice(contender.rows, rows)));
    const sum = added.reduce((total, loss) => total + loss, sumOf(contender));
    const loss = sum / this.#tokens.slice(0, rows).reduce((total, count) => total + count, 0);
    if (!Number.isFinite(loss))
      throw new RangeError(`loss at alpha ${alpha}, beta ${beta} is ${loss}, expected a finite number`);
    return { alpha, beta, rows, loss, ms: task.now() - start, rowLosses: added };
  }

  #known(contender: Contender, rows: number): SearchEvaluation | undefined {
    return this.#task.history.find((known) => isSamePoint(known, contender) && known.rows === rows);
  }

  #isInside({ alpha, beta }: Coefficients): boolean {
    return this.#space.contains([alpha, beta]);
  }
}

/** The loser is not measured again. @param sure beyond doubt; else the incumbent won for want of it */
function winnerOver(loser: Contender, winner: Contender, sure: boolean): Contender {
  loser.isBeaten = sure;
  loser.adapter = null;
  return winner;
}

function coefficientsOf({ alpha, beta }: Contender): Coefficients {
  return { alpha, beta };
}

/** Of the first rows, by default of all that were measured. */
function sumOf({ losses, rows: measured }: MeasuredRows, rows = measured): number {
  return losses.subarray(0, rows).reduce((total, loss) => total + loss, 0);
}
