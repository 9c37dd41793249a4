import { Random } from '../../statistics/random.ts';
import { isSamePoint, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import { nelderMead } from './bayesian-optimization/nelder-mead.ts';
import type { Space } from './bayesian-optimization/space.ts';
import { fitSurrogate, type Observation, type SurrogateOptions } from './bayesian-optimization/surrogate.ts';
import { relativeLosses, toObservations, type RelativeLoss, type SearchRecord } from './relative-losses.ts';

/** The records of the searches that finished earlier in the same rollout, from the same base version: one list for each. */
export type FleetSearches = readonly (readonly SearchRecord[])[];

/** What the model of a search learns from: the search's own observations and those of the fleet. */
type FleetObservations = Required<Pick<SurrogateOptions, 'observations' | 'others'>> &
  Pick<SurrogateOptions, 'contexts'>;

/** Largest number of earlier searches that a job is given; it is more than the search's model can use. */
export const FLEET_SEARCHES = 24;

/** Most points of other searches that the model uses, because its time grows with the cube of their number. */
const MOST_POINTS = 48;

/** Excess over the smallest predicted loss up to which a named point is preferred, in standard deviations of the values. */
const HARDLY_WORSE = 0.05;

/**
 * Observations of a search and of the fleet's searches, as losses relative to copy's. What a revert does to an adapter,
 * ln(revert's loss / copy's loss), tells early which other adapters it resembles. If it is known for this search, the
 * fleet's searches with the most similar value are used, with the values as contexts of the model; otherwise those that
 * measured the most points (of equals, the earlier ones). Only whole searches are used, as many as fit.
 * @param own what the search itself has measured so far
 */
export function fleetObservations(searches: FleetSearches, own: readonly SearchRecord[] = []): FleetObservations {
  const losses = relativeLosses(own);
  const observations = toObservations(losses);
  const others = searches
    .map((records) => summarize(relativeLosses(records)))
    .filter(({ points }) => points.length > 1);
  const context = revertEffect(losses);
  if (context === null) return { observations, others: takeFitting(others.sort(byMost)).map(({ points }) => points) };
  const known = others.filter((one): one is SearchSummary & { context: number } => one.context !== null);
  const distance = (one: { readonly context: number }): number => Math.abs(one.context - context);
  const near = takeFitting(known.sort((a, b) => distance(a) - distance(b) || byMost(a, b)));
  return {
    observations,
    others: near.map(({ points }) => points),
    contexts: [context, ...near.map((one) => one.context)],
  };
}

/**
 * The fleet's best: the coefficients at which the fleet's model predicts the smallest loss for an adapter.
 * @param named points that are preferred to others of hardly smaller predicted loss; those outside the space are ignored
 * @param own what was measured of the adapter, if anything
 * @returns null if no search has finished, or none that can be compared with this one
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
  const bounds = space.bounds.map(() => [0, 1] as const);
  const starts = [...process.inputs, ...Array.from({ length: 64 }, () => bounds.map(() => random.uniform()))];
  const start = starts.reduce((best, next) => (meanAt(next) < meanAt(best) ? next : best));
  const smallest = nelderMead(meanAt, start, { bounds, step: 0.05 });
  const preferred = named.find(({ alpha, beta }) => {
    return space.contains([alpha, beta]) && meanAt(space.toUnit([alpha, beta])) <= smallest.value + HARDLY_WORSE;
  });
  if (preferred) return { alpha: preferred.alpha, beta: preferred.beta };
  const [alpha, beta] = space.fromUnit(smallest.point) as [number, number];
  return { alpha, beta };
}

/** One search of the fleet. */
interface SearchSummary {
  readonly points: readonly Observation[];
  /** See {@link revertEffect}. */
  readonly context: number | null;
}

function summarize(losses: readonly RelativeLoss[]): SearchSummary {
  return { points: toObservations(losses), context: revertEffect(losses) };
}

/** ln(revert's loss / copy's loss); null if revert was not measured. */
function revertEffect(losses: readonly RelativeLoss[]): number | null {
  return losses.find((point) => isSamePoint(point, REVERT))?.value ?? null;
}

function byMost(a: SearchSummary, b: SearchSummary): number {
  return b.points.length - a.points.length;
}

/** The searches that fit into the model's number of points; earlier ones take precedence. */
function takeFitting<T extends SearchSummary>(searches: readonly T[]): T[] {
  let room = MOST_POINTS;
  return searches.filter(({ points }) => {
    if (points.length > room) return false;
    room -= points.length;
    return true;
  });
}
