import { Random } from '../../../statistics/random.ts';
import { expectedImprovement } from './expected-improvement.ts';
import { nelderMead } from './nelder-mead.ts';
import { distance, type Point } from './space.ts';
import { fitSurrogate, type Surrogate, type SurrogateOptions } from './surrogate.ts';

export interface ProposalOptions extends SurrogateOptions {
  /** Points that are preferred to others that promise little more. */
  readonly named?: readonly Point[];
  readonly seed: number;
}

export interface Proposal {
  readonly point: Point;
  /** Expected Improvement there, in units of the values; Infinity where too little is known to say. */
  readonly improvement: number;
}

/** Random candidates at which Expected Improvement is first compared, and how many of them are then refined. */
const CANDIDATES = 400;
const REFINED = 4;
/** Points nearer than this (in the unit box) to an observed one teach nothing new. */
const SAME_POINT = 1e-3;
/** A named point is proposed where it promises at least this share of the most. */
const NAMED_SHARE = 0.9;

/**
 * The point of the largest Expected Improvement on the smallest posterior mean among the observed points, for a function
 * that is to be minimized. Equal options give equal points.
 */
export function propose(options: ProposalOptions): Proposal {
  const { space, observations, others = [], named = [], seed } = options;
  const random = Random.fromSeed(seed + 7919 * observations.length);
  const known = observations.length + others.reduce((sum, list) => sum + list.length, 0);
  if (observations.length === 0 || known < 2) {
    return { point: space.fromUnit(randomPoint(space.coordinates.length, random)), improvement: Infinity };
  }
  const surrogate = fitSurrogate(options);
  const improvementAt = improvementOf(surrogate);
  const snapped = (unit: Point): number => improvementAt(space.snap(unit));
  const start = [...observations].sort((a, b) => a.value - b.value)[0]!;
  const best = maximize(snapped, space.toUnit(start.point), random);
  const favourite = largest(
    named.map((point) => space.toUnit(point)),
    improvementAt,
  );
  const chosen = favourite && favourite.improvement >= NAMED_SHARE * best.improvement ? favourite : best;
  return { point: space.fromUnit(chosen.point), improvement: chosen.improvement * surrogate.deviation };
}

/** Expected Improvement in the process' units at points of the unit box. */
function improvementOf({ process, observed }: Surrogate): (point: Point) => number {
  const best = Math.min(...observed.map((point) => process.predict(point).mean));
  return (point) => {
    if (observed.some((known) => distance(known, point) < SAME_POINT)) return 0;
    const { mean, variance } = process.predict(point);
    return expectedImprovement(mean, Math.sqrt(variance), best);
  };
}

/** From random points everywhere and around the incumbent; the best of them are refined by Nelder–Mead. */
function maximize(improvementAt: (point: Point) => number, incumbent: Point, random: Random): Proposal {
  const candidates = Array.from({ length: CANDIDATES }, (_, i) =>
    i % 4 === 0 ? nearby(incumbent, random) : randomPoint(incumbent.length, random),
  );
  const ranked = candidates.map((point) => ({ point, improvement: improvementAt(point) }));
  ranked.sort((a, b) => b.improvement - a.improvement);
  const bounds = incumbent.map(() => [0, 1] as const);
  const refined = ranked.slice(0, REFINED).map(({ point }) => {
    const minimum = nelderMead((x) => -improvementAt(x), point, {
      bounds,
      step: 0.05,
      maxIterations: 40,
      tolerance: 1e-12,
    });
    return { point: minimum.point, improvement: -minimum.value };
  });
  return refined.reduce((most, next) => (next.improvement > most.improvement ? next : most));
}

function largest(points: readonly Point[], improvementAt: (point: Point) => number): Proposal | null {
  return points.reduce<Proposal | null>((most, point) => {
    const improvement = improvementAt(point);
    return most && most.improvement >= improvement ? most : { point, improvement };
  }, null);
}

function randomPoint(dimensions: number, random: Random): number[] {
  return Array.from({ length: dimensions }, () => random.uniform());
}

function nearby(point: Point, random: Random): number[] {
  return point.map((x) => Math.min(1, Math.max(0, x + 0.08 * random.normal())));
}
