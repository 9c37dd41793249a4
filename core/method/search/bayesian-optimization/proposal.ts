import { normalDensity, normalDistribution } from '../../../statistics/distributions.ts';
import { Random } from '../../../statistics/random.ts';
import { nelderMead } from './nelder-mead.ts';
import { distance, type Point } from './space.ts';
import { fitSurrogate, type Surrogate, type SurrogateOptions } from './surrogate.ts';

interface ProposalOptions extends SurrogateOptions {
  /**
   * Smallest distance of a proposal to the observed points, in the unit box. It is never less than {@link SAME_POINT},
   * which is the default.
   */
  readonly spacing?: number | undefined;
  readonly seed: number;
}

export interface ProposedPoint {
  readonly point: Point;
  /**
   * Expected Improvement at the proposed point, in units of the observed values; Infinity with fewer than two
   * observations.
   */
  readonly improvement: number;
}

/** Number of random points at which Expected Improvement is compared to find where it is largest. */
const CANDIDATES = 400;
/**
 * Number of the best of these random points from which Nelder–Mead searches for a still larger Expected Improvement.
 */
const REFINED = 4;
/** Distance in the unit box below which a point counts as already observed, so that its Expected Improvement is 0. */
const SAME_POINT = 1e-3;

/**
 * Proposes the point at which a function that is minimized should be evaluated next: the point of the largest Expected
 * Improvement over the smallest value that the model gives to an observed point. Equal options give equal points. With
 * fewer than two observations, the point is random.
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
 * Returns the function that gives the Expected Improvement at a point of the unit box, in standardized units. It gives
 * 0 at points nearer than `spacing` to an observed one.
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

/**
 * Finds a point of large Expected Improvement: compares random points of the unit box, a quarter of them near the
 * incumbent, and refines the best of them by Nelder–Mead.
 * @param incumbent observed point of the smallest value
 */
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
