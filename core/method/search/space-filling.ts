import { Random } from '../../statistics/random.ts';
import type { Coefficients } from '../fusion/coefficients.ts';
import { distance, type Point, type Space } from './bayesian-optimization/space.ts';

/** Share of the search's evaluations that go to points which fill the space evenly. */
const START_SHARE = 1 / 3;
/**
 * Smallest number of points that fill the space at the beginning of a search: a model of two coordinates learns nothing
 * from fewer.
 */
const LEAST_POINTS = 3;
/** Number of random Latin hypercubes among which the most even one is chosen. */
const DESIGNS = 100;

/**
 * Chooses the points with which a search begins, apart from copy and revert, so that they fill the space evenly: of a
 * hundred random Latin hypercubes, the one whose nearest points are farthest apart (McKay, Beckman and Conover 1979;
 * Morris and Mitchell 1995). They are a third of the evaluations, and at least three points if the budget allows.
 */
export function spaceFillingStart(space: Space, evaluations: number, seed: number): Coefficients[] {
  const count = Math.min(evaluations, Math.max(LEAST_POINTS, Math.ceil(START_SHARE * evaluations)));
  const random = Random.fromSeed(seed);
  const designs = Array.from({ length: DESIGNS }, () => latinHypercube(count, space.bounds.length, random));
  const best = designs.reduce((most, next) => (nearest(next) > nearest(most) ? next : most));
  return best.map((unit) => {
    const [alpha, beta] = space.fromUnit(unit) as [number, number];
    return { alpha, beta };
  });
}

/**
 * Returns `count` random points of the unit box. If any coordinate's range is cut into `count` equal intervals, each
 * interval holds exactly one of the points.
 */
function latinHypercube(count: number, dimensions: number, random: Random): Point[] {
  const columns = Array.from({ length: dimensions }, () =>
    random.shuffle(Array.from({ length: count }, (_, i) => (i + random.uniform()) / count)),
  );
  return Array.from({ length: count }, (_, i) => columns.map((column) => column[i]!));
}

function nearest(points: readonly Point[]): number {
  const distances = points.flatMap((one, i) => points.slice(i + 1).map((other) => distance(one, other)));
  return Math.min(Infinity, ...distances);
}
