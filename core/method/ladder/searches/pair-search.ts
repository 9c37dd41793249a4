import { searchCoefficients } from '../../search/coefficient-search.ts';
import { searchSpace, type SearchOptions, type SearchTask } from '../../search/search-task.ts';
import { COPY, REVERT, type Coefficients } from '../../fusion/coefficients.ts';
import { bestOfFleet } from '../../search/fleet-prior.ts';
import type { Ladder } from '../ladder.ts';
import type { SearchRecord } from '../../search/relative-losses.ts';

/** How a rung's search differs from the job's own. */
export interface PairSearchOptions {
  /** Overrides the job's search options. */
  readonly search?: SearchOptions;
  /** Whether to use what other adapters' searches found. Default true. */
  readonly fleet?: boolean;
}

export interface FleetBestOptions extends Pick<PairSearchOptions, 'search'> {
  /** What was measured with this adapter before. Default: nothing. */
  readonly own?: readonly SearchRecord[];
}

/** Returns the coefficients, within the bounds, for which the fleet's finished searches promise the smallest loss. */
export function fleetBest(ladder: Ladder, { search, own }: FleetBestOptions = {}): Coefficients | null {
  const space = searchSpace(search);
  return bestOfFleet(ladder.context.fleetSearches ?? [], space, [COPY, REVERT], own);
}

/**
 * Returns the best pair on the search rows.
 * @param compared coefficients that were compared with the copy before
 */
export function searchPair(
  ladder: Ladder,
  options: PairSearchOptions,
  compared?: readonly Coefficients[],
): Promise<Coefficients> {
  return searchCoefficients({ ...searchTask(ladder, options), compared });
}

/** Describes a search on this ladder. */
export function searchTask(ladder: Ladder, { search, fleet = true }: PairSearchOptions): SearchTask {
  const { context, options } = ladder;
  return {
    options: { ...options.search, ...search },
    seed: context.seed,
    signal: context.signal,
    history: ladder.searchHistory,
    fuse: (coefficients) => ladder.fused.at(coefficients),
    rowTokens: context.searchRowTokens,
    rowLosses: (adapters, rows) => context.searchRowLosses(adapters, rows),
    fleet: fleet ? context.fleetSearches : undefined,
    onEvaluation: (evaluation, budget) => ladder.recordSearch(evaluation, budget),
    now: () => ladder.now(),
  };
}
