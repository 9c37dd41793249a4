import { COPY, isSamePoint, REVERT, type Coefficients } from '../../fusion/coefficients.ts';
import { compareCoefficients, type ClearlyWorse, type FirstComparison } from '../../search/coefficient-search.ts';
import type { Ladder } from '../ladder.ts';
import { fleetBest, searchTask } from './pair-search.ts';

/** The coefficients that are known before any search, and how they compare. */
interface Screened {
  /** The coefficients that the fleet's searches favor; null without a fleet. */
  readonly prior: Coefficients | null;
  /** Coefficients that were compared with the copy. */
  readonly points: readonly Coefficients[];
  readonly worse: readonly ClearlyWorse[];
}

const NOTHING_KNOWN: Screened = { prior: null, points: [], worse: [] };

/**
 * Compares what is known before any search (copy, revert and the fleet's best) on a few search rows, so that the gate,
 * which has many rows, judges only coefficients that are not clearly worse than others. Each run has one screening.
 */
export class Screening {
  #screened: Promise<Screened> | null = null;

  /** Measures at the first call. A resumed run finds the measurements in its records. */
  of(ladder: Ladder): Promise<Screened> {
    return (this.#screened ??= ladder.fused.obstacle === null ? screen(ladder) : Promise.resolve(NOTHING_KNOWN));
  }

  /** Returns known coefficients that are clearly better than these on the same rows, or null if there are none. */
  async betterThan(coefficients: Coefficients, ladder: Ladder): Promise<Coefficients | null> {
    const { worse } = await this.of(ladder);
    return worse.find(({ point }) => isSamePoint(point, coefficients))?.than ?? null;
  }
}

async function screen(ladder: Ladder): Promise<Screened> {
  // Screening races even if the job's own search does not. The second comparison reuses what the first has measured.
  const compare = (points: readonly Coefficients[]): Promise<FirstComparison> => {
    return compareCoefficients(searchTask(ladder, { search: { racing: true } }), points);
  };
  const { worse, records } = await compare([REVERT]);
  const prior = fleetBest(ladder, { own: records });
  if (prior === null || [COPY, REVERT].some((point) => isSamePoint(point, prior))) {
    return { prior, points: [REVERT], worse };
  }
  const points = [REVERT, prior];
  return { prior, points, worse: (await compare(points)).worse };
}
