import { Random } from '../../models/random.ts';
import { expectedImprovement } from './expected-improvement.ts';
import { fitGaussianProcess, type GaussianProcess } from './gaussian-process.ts';
import { nelderMead } from './nelder-mead.ts';

export type Point = readonly number[];

export interface Observation {
  readonly point: Point;
  readonly value: number;
}

export interface OptimiserOptions {
  /** Lowest and highest value of every coordinate. */
  readonly bounds: readonly (readonly [number, number])[];
  /** Asked for first, in this order. */
  readonly startingPoints: readonly Point[];
  /** Observations in all, starting points included. */
  readonly maxEvaluations: number;
  /**
   * The search ends when the best Expected Improvement is below this share of the best value's magnitude, or below a
   * tenth of the observation noise that the process estimates. Default 1e-3; 0 never ends early.
   */
  readonly minimumImprovement?: number;
  readonly seed: number;
  /** A length scale for every coordinate. Default false. */
  readonly ard?: boolean;
}

/** Why nothing more is asked. */
export type StopReason = 'budget' | 'no_improvement';

/** Everything an optimiser is, as JSON: options and observations. Equal states ask for equal points. */
export interface OptimiserState {
  readonly options: OptimiserOptions;
  readonly observations: readonly Observation[];
}

/** Random candidates at which Expected Improvement is first compared, and how many of them are then refined. */
const CANDIDATES = 400;
const REFINED = 4;
/** Points nearer than this (in the unit box) to an observed one teach nothing new. */
const SAME_POINT = 1e-3;

/**
 * Minimises an expensive, noisy function of a few variables: a Gaussian process is fitted to what was observed and the
 * point of the largest Expected Improvement is asked for next. The caller evaluates: `ask`, then `tell`.
 */
export class BayesianOptimiser {
  readonly #options: OptimiserOptions;
  readonly #observations: Observation[];
  #stopReason: StopReason | null = null;

  constructor(options: OptimiserOptions, observations: readonly Observation[] = []) {
    this.#options = options;
    this.#observations = [...observations];
  }

  static fromJSON({ options, observations }: OptimiserState): BayesianOptimiser {
    return new BayesianOptimiser(options, observations);
  }

  toJSON(): OptimiserState {
    return { options: this.#options, observations: this.observations };
  }

  get observations(): readonly Observation[] {
    return [...this.#observations];
  }

  /** Set once {@link ask} has answered null. */
  get stopReason(): StopReason | null {
    return this.#stopReason;
  }

  /** The observation of the smallest value, the earlier of equals; null before the first. */
  get best(): Observation | null {
    return this.#observations.reduce<Observation | null>((best, o) => (best && best.value <= o.value ? best : o), null);
  }

  /** The next point to evaluate, or null where the search is over. Asking again without an answer gives the same point. */
  ask(): Point | null {
    const { startingPoints, maxEvaluations } = this.#options;
    const count = this.#observations.length;
    if (count >= maxEvaluations) return this.#stop('budget');
    const start = startingPoints[count];
    if (start) return start;
    return this.#proposal() ?? this.#stop('no_improvement');
  }

  /** @throws RangeError for a value that is not finite: the process cannot learn from it */
  tell(point: Point, value: number): void {
    if (!Number.isFinite(value)) throw new RangeError(`value at (${point.join(', ')}) is ${value}, expected a finite number`);
    this.#observations.push({ point: [...point], value });
  }

  #stop(reason: StopReason): null {
    this.#stopReason = reason;
    return null;
  }

  #proposal(): Point | null {
    const random = Random.fromSeed(this.#options.seed + 7919 * this.#observations.length);
    if (this.#observations.length < 2) return this.#fromUnit(this.#randomPoint(random));
    const scale = standardisation(this.#observations);
    const observed = this.#observations.map(({ point }) => this.#toUnit(point));
    const outputs = this.#observations.map(({ value }) => (value - scale.mean) / scale.deviation);
    const process = fitGaussianProcess(observed, outputs, { ard: this.#options.ard ?? false });
    const { point, improvement } = this.#maximiseImprovement(process, random);
    return this.#isWorthwhile(improvement, process, scale) ? this.#fromUnit(point) : null;
  }

  #maximiseImprovement(process: GaussianProcess, random: Random): { point: Point; improvement: number } {
    const best = Math.min(...process.inputs.map((input) => process.predict(input).mean));
    const improvementAt = (point: Point): number => {
      if (process.inputs.some((input) => distance(input, point) < SAME_POINT)) return 0;
      const { mean, variance } = process.predict(point);
      return expectedImprovement(mean, Math.sqrt(variance), best);
    };
    const incumbent = this.#toUnit(this.best!.point);
    const candidates = Array.from({ length: CANDIDATES }, (_, i) =>
      i % 4 === 0 ? nearby(incumbent, random) : this.#randomPoint(random),
    );
    const ranked = candidates.map((point) => ({ point, improvement: improvementAt(point) }));
    ranked.sort((a, b) => b.improvement - a.improvement);
    const bounds = incumbent.map(() => [0, 1] as const);
    const refined = ranked.slice(0, REFINED).map(({ point }) => {
      const minimum = nelderMead((x) => -improvementAt(x), point, { bounds, step: 0.05, maxIterations: 40, tolerance: 1e-12 });
      return { point: minimum.point, improvement: -minimum.value };
    });
    return refined.reduce((most, next) => (next.improvement > most.improvement ? next : most));
  }

  #isWorthwhile(improvement: number, process: GaussianProcess, scale: Standardisation): boolean {
    const { minimumImprovement = 1e-3 } = this.#options;
    if (minimumImprovement === 0) return true;
    const noise = Math.sqrt(process.hyperparameters.noiseVariance);
    const floor = (minimumImprovement * Math.abs(this.best!.value)) / scale.deviation;
    return improvement >= Math.max(floor, 0.1 * noise);
  }

  #randomPoint(random: Random): number[] {
    return this.#options.bounds.map(() => random.uniform());
  }

  #toUnit(point: Point): number[] {
    return this.#options.bounds.map(([low, high], i) => (point[i]! - low) / (high - low));
  }

  #fromUnit(point: Point): number[] {
    return this.#options.bounds.map(([low, high], i) => Math.min(high, Math.max(low, low + point[i]! * (high - low))));
  }
}

interface Standardisation {
  readonly mean: number;
  readonly deviation: number;
}

function standardisation(observations: readonly Observation[]): Standardisation {
  const mean = observations.reduce((sum, { value }) => sum + value, 0) / observations.length;
  const variance = observations.reduce((sum, { value }) => sum + (value - mean) ** 2, 0) / observations.length;
  return { mean, deviation: variance > 0 ? Math.sqrt(variance) : 1 };
}

function nearby(point: Point, random: Random): number[] {
  return point.map((x) => Math.min(1, Math.max(0, x + 0.08 * random.normal())));
}

function distance(x: Point, y: Point): number {
  return Math.sqrt(x.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0));
}
