import { Random } from '../models/random.ts';
import { nelderMead } from './bayesian-optimisation/nelder-mead.ts';
import type { Space } from './bayesian-optimisation/space.ts';
import { fitSurrogate, type Observation } from './bayesian-optimisation/surrogate.ts';
import type { Coefficients } from './coefficients.ts';
import { relativeLosses, toObservations, type SearchRecord } from './relative-losses.ts';

/** The searches of jobs that finished earlier in the same rollout, from the same base version: a list of records each. */
export type FleetSearches = readonly (readonly SearchRecord[])[];

/** Points of all searches together that the model takes: its time grows with their cube. */
const MOST_POINTS = 48;

/**
 * What the fleet's searches say of a next one: losses against copy's, a list for each of the searches that measured most
 * points (the earlier of equals), as many as fit.
 */
export function fleetObservations(searches: FleetSearches): Observation[][] {
  const told = searches.map((records) => toObservations(relativeLosses(records))).filter((points) => points.length > 1);
  told.sort((a, b) => b.length - a.length);
  let room = MOST_POINTS;
  return told.filter((points) => {
    if (points.length > room) return false;
    room -= points.length;
    return true;
  });
}

/**
 * The coefficients of which the fleet expects the smallest loss of an adapter that nothing was measured of yet.
 * @param named points that are preferred to others that are expected to be hardly better (a twentieth of a standard
 *   deviation of what was seen); those outside the space do not count
 * @returns null where no search has finished
 */
export function bestOfFleet(searches: FleetSearches, space: Space, named: readonly Coefficients[] = []): Coefficients | null {
  const others = fleetObservations(searches);
  if (others.length === 0) return null;
  const { process } = fitSurrogate({ space, observations: [], others });
  const meanAt = (unit: readonly number[]): number => process.predict(space.snap(unit)).mean;
  const random = Random.fromSeed(others.length);
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
