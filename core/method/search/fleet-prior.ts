import { Random } from '../../statistics/random.ts';
import { nelderMead } from './bayesian-optimization/nelder-mead.ts';
import type { Space } from './bayesian-optimization/space.ts';
import { fitSurrogate, type Observation, type SurrogateOptions } from './bayesian-optimization/surrogate.ts';
import { isSamePoint, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import { relativeLosses, toObservations, type RelativeLoss, type SearchRecord } from './relative-losses.ts';

/** The searches of jobs that finished earlier in the same rollout, from the same base version: a list of records each. */
export type FleetSearches = readonly (readonly SearchRecord[])[];

/** What a search's model is told of itself and of the fleet. */
export type FleetObservations = Required<Pick<SurrogateOptions, 'observations' | 'others'>> &
  Pick<SurrogateOptions, 'contexts'>;

/** Points of all other searches together that the model takes: its time grows with their cube. */
const MOST_POINTS = 48;

/**
 * What a search and the fleet's say of the search: losses against copy's, a list for each. What a revert does to an
 * adapter says which others it is like, before anything else is measured: where that is known of it, it is told of those
 * to which a revert does the most alike, and by how much it differs from them; else of those that measured most points
 * (the earlier of equals). Whole searches, as many as fit.
 * @param own what the search itself has measured so far
 */
export function fleetObservations(searches: FleetSearches, own: readonly SearchRecord[] = []): FleetObservations {
  const losses = relativeLosses(own);
  const observations = toObservations(losses);
  const told = searches.map((records) => toTold(relativeLosses(records))).filter(({ points }) => points.length > 1);
  const context = revertOf(losses);
  if (context === null) return { observations, others: fitting(told.sort(byMost)).map(({ points }) => points) };
  const known = told.filter((one): one is Told & { context: number } => one.context !== null);
  const distance = (one: { readonly context: number }): number => Math.abs(one.context - context);
  const near = fitting(known.sort((a, b) => distance(a) - distance(b) || byMost(a, b)));
  return {
    observations,
    others: near.map(({ points }) => points),
    contexts: [context, ...near.map((one) => one.context)],
  };
}

/**
 * The coefficients of which the fleet expects the smallest loss of an adapter.
 * @param named points that are preferred to others that are expected to be hardly better (a twentieth of a standard
 *   deviation of what was seen); those outside the space do not count
 * @param own what was measured of the adapter, if anything
 * @returns null where no search has finished, or none that this one could be compared with
 */
export function bestOfFleet(
  searches: FleetSearches,
  space: Space,
  named: readonly Coefficients[] = [],
  own: readonly SearchRecord[] = [],
): Coefficients | null {
  const known = fleetObservations(searches, own);
  if (known.others.length === 0) return null;
  const { process } = fitSurrogate({ space, ...known });
  const meanAt = (unit: readonly number[]): number => process.predict(space.snap(unit)).mean;
  const random = Random.fromSeed(known.others.length);
  const bounds = space.coordinates.map(() => [0, 1] as const);
  const starts = [...process.inputs, ...Array.from({ length: 64 }, () => bounds.map(() => random.uniform()))];
  const start = starts.reduce((best, next) => (meanAt(next) < meanAt(best) ? next : best));
  const smallest = nelderMead(meanAt, start, { bounds, step: 0.05 });
  const familiar = named.find(({ alpha, beta }) => {
    return space.contains([alpha, beta]) && meanAt(space.toUnit([alpha, beta])) <= smallest.value + 0.05;
  });
  const [alpha, beta] = space.fromUnit(smallest.point) as [number, number];
  return familiar ? { alpha: familiar.alpha, beta: familiar.beta } : { alpha, beta };
}

/** One search of the fleet. */
interface Told {
  readonly points: readonly Observation[];
  /** What a revert did to its loss; null where it was not measured. */
  readonly context: number | null;
}

function toTold(losses: readonly RelativeLoss[]): Told {
  return { points: toObservations(losses), context: revertOf(losses) };
}

/** ln(revert's loss / copy's loss). */
function revertOf(losses: readonly RelativeLoss[]): number | null {
  return losses.find((point) => isSamePoint(point, REVERT))?.value ?? null;
}

function byMost(a: Told, b: Told): number {
  return b.points.length - a.points.length;
}

/** Those that fit into the model, from the first. */
function fitting<T extends Told>(told: readonly T[]): T[] {
  let room = MOST_POINTS;
  return told.filter(({ points }) => {
    if (points.length > room) return false;
    room -= points.length;
    return true;
  });
}
