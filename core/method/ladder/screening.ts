import { compareCoefficients, type ClearlyWorse, type FirstComparison } from '../search/coefficient-search.ts';
import { searchSpace } from '../search/search-task.ts';
import { COPY, isSamePoint, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import type { Ladder } from './ladder.ts';
import { fleetBest, searchBounds, searchTask } from './pair-search.ts';

/** What is known before any search, and how it compares. */
interface Screened {
  /** The fleet's best; null without a fleet. */
  readonly prior: Coefficients | null;
  /** What was compared with copy. */
  readonly points: readonly Coefficients[];
  readonly worse: readonly ClearlyWorse[];
}

const NOTHING_KNOWN: Screened = { prior: null, points: [], worse: [] };

/**
 * Compares what is known before any search (copy, revert, the fleet's best) on a few search rows, so that the gate, whose
 * rows are many, judges only what is not clearly worse than something else. One object for each run.
 */
export class Screening {
  #screened: Promise<Screened> | null = null;

  /** Measured at the first call; a resumed run has it from its records. */
  of(ladder: Ladder): Promise<Screened> {
    return (this.#screened ??= ladder.unfusable === null ? screen(ladder) : Promise.resolve(NOTHING_KNOWN));
  }

  /** What is clearly better than these coefficients on the same rows, if anything that is known is. */
  async betterThan(coefficients: Coefficients, ladder: Ladder): Promise<Coefficients | null> {
    const { worse } = await this.of(ladder);
    return worse.find(({ point }) => isSamePoint(point, coefficients))?.than ?? null;
  }
}

async function screen(ladder: Ladder): Promise<Screened> {
  const space = searchSpace(searchBounds(ladder));
  // However the job's own search measures; what the first of two looks has measured is known in the second.
  const compare = (points: readonly Coefficients[]): Promise<FirstComparison> => {
    return compareCoefficients(searchTask(ladder, { search: { racing: true } }), points);
  };
  const named = [REVERT].filter(({ alpha, beta }) => space.contains([alpha, beta]));
  const { worse, records } = await compare(named);
  const prior = fleetBest(ladder, { own: records });
  if (prior === null || [COPY, REVERT].some((point) => isSamePoint(point, prior)))
    return { prior, points: named, worse };
  const points = [...named, prior];
  return { prior, points, worse: (await compare(points)).worse };
}
