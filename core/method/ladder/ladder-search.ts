import type { SearchOptions, SearchTask } from '../search/search-task.ts';
import type { Ladder } from './ladder.ts';

/**
 * Describes a search on this ladder.
 * @param search overrides the job's search options
 */
export function searchTask(ladder: Ladder, search?: SearchOptions): SearchTask {
  const { context, options } = ladder;
  return {
    options: { ...options.search, ...search },
    seed: context.seed,
    signal: context.signal,
    history: ladder.searchHistory,
    fuse: (coefficients) => ladder.fused.at(coefficients),
    rows: context.searchRows,
    loss: (adapter) => context.searchLoss(adapter),
    onEvaluation: (evaluation) => ladder.recordSearch(evaluation),
    now: () => ladder.now(),
  };
}
