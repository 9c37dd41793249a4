import { COPY, raceCoefficients, REVERT, searchCoefficients, searchSpace, type SearchOptions, type SearchTask, type SurelyWorse } from './coefficient-search.ts';
import { commonBounds, isSamePoint, type CoefficientBounds, type Coefficients } from './coefficients.ts';
import { bestOfFleet } from './fleet-prior.ts';
import type { Ladder } from './ladder.ts';

/** What is changed of a ladder's search. */
export interface PairSearchOptions {
  /** In place of what the job's own search options say; bounds narrow the job's own. */
  readonly search?: SearchOptions;
  /** Whether what other adapters' searches found is used. Default true. */
  readonly fleet?: boolean;
  /** Of the run; the search starts from what it has measured. */
  readonly screening?: Screening;
}

/** What is known before any search, and how it compares. */
interface Screened {
  /** The fleet's best; null without a fleet. */
  readonly prior: Coefficients | null;
  /** What was raced, after copy. */
  readonly points: readonly Coefficients[];
  readonly worse: readonly SurelyWorse[];
}

const NOTHING_KNOWN: Screened = { prior: null, points: [], worse: [] };

/**
 * Races what is known before any search (copy, revert, the fleet's best) on a few search rows, so that the gate, whose
 * rows are many, judges only what is not surely worse than something else. One object for each run.
 */
export class Screening {
  #screened: Promise<Screened> | null = null;

  /** Measured at the first call; a resumed run has it from its records. */
  of(ladder: Ladder): Promise<Screened> {
    return (this.#screened ??= ladder.unfusable === null ? screen(ladder) : Promise.resolve(NOTHING_KNOWN));
  }

  /** What is surely better than these coefficients on the same rows, if anything that is known is. */
  async betterThan(coefficients: Coefficients, ladder: Ladder): Promise<Coefficients | null> {
    const { worse } = await this.of(ladder);
    return worse.find(({ point }) => isSamePoint(point, coefficients))?.than ?? null;
  }
}

async function screen(ladder: Ladder): Promise<Screened> {
  const prior = fleetBest(ladder);
  const known = prior === null || [COPY, REVERT].some((point) => isSamePoint(point, prior)) ? [REVERT] : [REVERT, prior];
  const space = searchSpace(searchBounds(ladder));
  const points = known.filter(({ alpha, beta }) => space.contains([alpha, beta]));
  // However the job's own search measures.
  const worse = await raceCoefficients(searchTask(ladder, { search: { racing: true } }), points);
  return { prior, points, worse };
}

/** The coefficients of which the fleet's finished searches expect the smallest loss, within the search's bounds. */
export function fleetBest(ladder: Ladder, search?: SearchOptions): Coefficients | null {
  return bestOfFleet(ladder.context.fleetSearches ?? [], searchSpace(searchBounds(ladder, search)), [COPY, REVERT]);
}

/** The best pair on the search rows. */
export async function searchPair(ladder: Ladder, options: PairSearchOptions): Promise<Coefficients> {
  const screened = await options.screening?.of(ladder);
  return searchCoefficients({ ...searchTask(ladder, options), raced: screened?.points });
}

/** What a search of the ladder looks within: the job's bounds, narrowed. */
export function searchBounds({ options }: Ladder, search: SearchOptions = {}): Required<CoefficientBounds> {
  return commonBounds(options.search ?? {}, search);
}

function searchTask(ladder: Ladder, { search, fleet = true }: PairSearchOptions): SearchTask {
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
