import { normalDensity, normalDistribution } from '../../../statistics/distributions.ts';
import { Random } from '../../../statistics/random.ts';
import { nelderMead } from './nelder-mead.ts';
import { distance, type Point } from './space.ts';
import { fitSurrogate, type Surrogate, type SurrogateOptions } from './surrogate.ts';

interface ProposalOptions extends SurrogateOptions {
  /** Smallest distance (in the unit box) to the observed points. Default: {@link SAME_POINT}. */
  readonly spacing?: number | undefined;
  readonly seed: number;
}

export interface ProposedPoint {
  readonly point: Point;
  /** Expected Improvement at the point, in units of the values; Infinity with fewer than two observations. */
  readonly improvement: number;
}

/** Number of random candidates at which Expected Improvement is compared. */
const CANDIDATES = 400;
/** Number of the best candidates that are refined. */
const REFINED = 4;
/** A point nearer than this (in the unit box) to an observed one has an Expected Improvement of 0. */
const SAME_POINT = 1e-3;

/**
 * Proposes the next point to evaluate of a function that is minimized. It maximizes the Expected Improvement on the
 * smallest posterior mean among the observed points. Equal options give equal points.
 * @throws RangeError for an observed value that is not finite
 */
export function propose(options: ProposalOptions): ProposedPoint {
  const { space, observations, seed, spacing = 0 } = options;
  const random = Random.fromSeed(seed + 7919 * observations.length);
  if (observations.length < 2) {
    return { point: space.fromUnit(randomPoint(space.bounds.length, random)), improvement: Infinity };
  }
  const surrogate = fitSurrogate(options);
  const improvementAt = improvementOf(surrogate, Math.max(SAME_POINT, spacing));
  const start = observations.reduce((least, next) => (next.value < least.value ? next : least));
  const best = maximize((unit) => improvementAt(space.snap(unit)), space.toUnit(start.point), random);
  return { point: space.fromUnit(best.point), improvement: best.improvement * surrogate.deviation };
}

/**
 * Expected Improvement at points of the unit box, in units of the process; 0 at points nearer than `spacing` to
 * observed ones.
 */
function improvementOf({ process }: Surrogate, spacing: number): (point: Point) => number {
  const best = Math.min(...process.inputs.map((point) => process.predict(point).mean));
  return (point) => {
    if (process.inputs.some((known) => distance(known, point) < spacing)) return 0;
    const { mean, variance } = process.predict(point);
    return expectedImprovement(mean, Math.sqrt(variance), best);
  };
}

/**
 * Expected Improvement for minimization: E[max(0, best − f)] with f ~ N(mean, sd²)
 * (Jones, Schonlau and Welch, Efficient global optimization of expensive black-box functions, 1998, eq. 15).
 */
export function expectedImprovement(mean: number, sd: number, best: number): number {
  if (sd <= 0) return Math.max(0, best - mean);
  const z = (best - mean) / sd;
  return Math.max(0, (best - mean) * normalDistribution(z) + sd * normalDensity(z));
}

/** Compares random points, a quarter of them near the incumbent, and refines the best by Nelder–Mead. */
function maximize(improvementAt: (point: Point) => number, incumbent: Point, random: Random): ProposedPoint {
  const candidates = Array.from({ length: CANDIDATES }, (_, i) =>
    i % 4 === 0 ? nearby(incumbent, random) : randomPoint(incumbent.length, random),
  );
  const ranked = candidates.map((point) => ({ point, improvement: improvementAt(point) }));
  ranked.sort((a, b) => b.improvement - a.improvement);
  const bounds = incumbent.map(() => [0, 1] as const);
  const refined = ranked.slice(0, REFINED).map(({ point }) => {
    const options = { bounds, step: 0.05, maxIterations: 40, tolerance: 1e-12 };
    const minimum = nelderMead((x) => -improvementAt(x), point, options);
    return { point: minimum.point, improvement: -minimum.value };
  });
  return refined.reduce((most, next) => (next.improvement > most.improvement ? next : most));
}

function randomPoint(dimensions: number, random: Random): number[] {
  return Array.from({ length: dimensions }, () => random.uniform());
}

function nearby(point: Point, random: Random): number[] {
  return point.map((x) => Math.min(1, Math.max(0, x + 0.08 * random.normal())));
}
