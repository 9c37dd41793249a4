import { searchCoefficients } from '../search/coefficient-search.ts';
import { searchSpace, type SearchOptions, type SearchTask } from '../search/search-task.ts';
import { commonBounds, COPY, REVERT, type CoefficientBounds, type Coefficients } from '../fusion/coefficients.ts';
import { bestOfFleet } from '../search/fleet-prior.ts';
import type { Ladder } from './ladder.ts';
import type { SearchRecord } from '../search/relative-losses.ts';

/** What is changed of a ladder's search. */
export interface PairSearchOptions {
  /** In place of what the job's own search options say; bounds narrow the job's own. */
  readonly search?: SearchOptions;
  /** Whether what other adapters' searches found is used. Default true. */
  readonly fleet?: boolean;
}

export interface FleetBestOptions extends Pick<PairSearchOptions, 'search'> {
  /** What was measured of the adapter before. Default nothing. */
  readonly own?: readonly SearchRecord[];
}

/** The coefficients of which the fleet's finished searches expect the smallest loss, within the search's bounds. */
export function fleetBest(ladder: Ladder, { search, own }: FleetBestOptions = {}): Coefficients | null {
  const space = searchSpace(searchBounds(ladder, search));
  return bestOfFleet(ladder.context.fleetSearches ?? [], space, [COPY, REVERT], own);
}

/** The best pair on the search rows. @param compared what was compared with copy there before */
export function searchPair(
  ladder: Ladder,
  options: PairSearchOptions,
  compared?: readonly Coefficients[],
): Promise<Coefficients> {
  return searchCoefficients({ ...searchTask(ladder, options), compared });
}

/** What a search of the ladder looks within: the job's bounds, narrowed. */
export function searchBounds({ options }: Ladder, search: SearchOptions = {}): Required<CoefficientBounds> {
  return commonBounds(options.search ?? {}, search);
}

/** What a search of the ladder is given. */
export function searchTask(ladder: Ladder, { search, fleet = true }: PairSearchOptions): SearchTask {
  const { context, options } = ladder;
  return {
    options: { ...options.search, ...search, ...searchBounds(ladder, search) },
    seed: context.seed,
    signal: context.signal,
    history: ladder.searchHistory,
    fuse: (coefficients) => ladder.fused(coefficients),
    rowTokens: context.searchRowTokens,
    rowLosses: (adapter, rows) => context.searchRowLosses(adapter, rows),
    fleet: fleet ? context.fleetSearches : undefined,
    onEvaluation: (evaluation, budget) => ladder.recordSearch(evaluation, budget),
    now: () => ladder.now(),
  };
}
