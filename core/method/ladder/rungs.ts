import { COPY, isSamePoint, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import { searchCoefficients } from '../search/coefficient-search.ts';
import type { SearchOptions } from '../search/search-task.ts';
import type { RungName } from './candidate.ts';
import type { Ladder } from './ladder.ts';
import { searchTask } from './searches/ladder-search.ts';

/** One way of making a candidate. */
export interface Rung {
  readonly name: RungName;
  /** Whether it trains its candidate. Once an adapter is published, only such a rung may still do something: refine it. */
  readonly trains: boolean;
  run(ladder: Ladder): Promise<void>;
}

/** Tries the old adapter as it is. */
export const copyRung: Rung = {
  name: 'copy',
  trains: false,
  async run(ladder) {
    ladder.enter('copy');
    await ladder.consider({ id: 'copy', rung: 'copy', strategy: 'reuse', ...COPY, step: 0 }, ladder.context.oldAdapter);
  },
};

/** Tries the old adapter with the evolution undone, as far as its rank reaches. */
export const revertRung: Rung = {
  name: 'revert',
  trains: false,
  async run(ladder) {
    ladder.enter('revert');
    await considerFused(ladder, 'revert', REVERT);
  },
};

/** Skips a rung for a reason, if there is one. */
export function unless(reasonAgainst: (ladder: Ladder) => string | null, rung: Rung): Rung {
  return {
    ...rung,
    async run(ladder) {
      const reason = reasonAgainst(ladder);
      if (reason === null) await rung.run(ladder);
      else ladder.skip(rung.name, reason);
    },
  };
}

/**
 * Searches for the coefficients with the smallest loss on the search rows. With a budget of 0 evaluations it takes the copy.
 * @param search overrides the job's search options
 */
export function searchRung(search?: SearchOptions): Rung {
  return {
    name: 'search',
    trains: false,
    async run(ladder) {
      ladder.enter('search');
      const searches = ladder.options.search?.evaluations !== 0;
      await considerFused(ladder, 'search', searches ? await searchCoefficients(searchTask(ladder, search)) : COPY);
    },
  };
}

async function considerFused(ladder: Ladder, rung: RungName, { alpha, beta }: Coefficients): Promise<void> {
  const proposal = { id: rung, rung, strategy: strategyOf({ alpha, beta }), alpha, beta, step: 0 };
  await ladder.consider(proposal, await ladder.fused.at({ alpha, beta }));
}

/** Whether the gate has judged the untrained adapter of these coefficients. */
export function isJudged(ladder: Ladder, { alpha, beta }: Coefficients): boolean {
  return ladder.candidates.some((known) => known.alpha === alpha && known.beta === beta && known.step === 0);
}

function strategyOf(coefficients: Coefficients): 'reuse' | 'revert' | 'relora' {
  if (isSamePoint(coefficients, COPY)) return 'reuse';
  return isSamePoint(coefficients, REVERT) ? 'revert' : 'relora';
}
