import { COPY, isSamePoint, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import { searchCoefficients } from '../search/coefficient-search.ts';
import type { SearchOptions } from '../search/search-task.ts';
import type { RungName } from './candidate.ts';
import type { Ladder } from './ladder.ts';
import { searchTask } from './searches/ladder-search.ts';
import type { Screening } from './searches/screening.ts';

/** One way of making a candidate. */
export interface Rung {
  readonly name: RungName;
  /** Whether the rung may still do something once an adapter is published: refine it. */
  readonly refines: boolean;
  /** Whether it searches or trains for its candidate, which costs several times what a look at the gate rows does. */
  readonly isCostly: boolean;
  run(ladder: Ladder): Promise<void>;
}

/** Tries the old adapter as it is. */
export const copyRung: Rung = {
  name: 'copy',
  refines: false,
  isCostly: false,
  async run(ladder) {
    ladder.enter('copy');
    await ladder.consider({ id: 'copy', rung: 'copy', strategy: 'reuse', ...COPY, step: 0 }, ladder.context.oldAdapter);
  },
};

/** Tries the old adapter with the evolution undone, as far as its rank reaches. */
export const revertRung: Rung = {
  name: 'revert',
  refines: false,
  isCostly: false,
  async run(ladder) {
    ladder.enter('revert');
    await considerFused(ladder, 'revert', REVERT);
  },
};

/** Skips copy or revert if the other one is clearly better on the search rows. */
export function screenedRung(rung: Rung, screening: Screening): Rung {
  return {
    ...rung,
    async run(ladder) {
      ladder.enter(rung.name);
      const better = await screening.betterOf(ladder);
      if (better === null || better === rung.name) await rung.run(ladder);
      else ladder.skip(rung.name, `${better} is clearly better on the search rows`);
    },
  };
}

/**
 * Searches for the coefficients with the smallest loss on the search rows. With a budget of 0 evaluations it only makes sure
 * that a candidate exists, by trying the copy.
 * @param search overrides the job's search options
 */
export function searchRung(search?: SearchOptions): Rung {
  return {
    name: 'search',
    refines: false,
    isCostly: true,
    async run(ladder) {
      if (ladder.options.search?.evaluations === 0 && ladder.candidates.length > 0) {
        return ladder.skip('search', 'its budget of evaluations is 0');
      }
      ladder.enter('search');
      const found = await searchCoefficients(searchTask(ladder, search));
      if (!isJudged(ladder, found)) return considerFused(ladder, 'search', found);
      ladder.skip('search', `it found nothing better than ${strategyOf(found)} beyond noise, which was tried`);
      await ladder.checkpoint();
    },
  };
}

async function considerFused(ladder: Ladder, rung: RungName, { alpha, beta }: Coefficients): Promise<void> {
  const proposal = { id: rung, rung, strategy: strategyOf({ alpha, beta }), alpha, beta, step: 0 };
  await ladder.consider(proposal, await ladder.fused.at({ alpha, beta }));
}

/** Whether the gate has judged these coefficients already, on another rung. */
function isJudged(ladder: Ladder, { alpha, beta }: Coefficients): boolean {
  return ladder.candidates.some((known) => known.alpha === alpha && known.beta === beta && known.step === 0);
}

function strategyOf(coefficients: Coefficients): 'reuse' | 'revert' | 'relora' {
  if (isSamePoint(coefficients, COPY)) return 'reuse';
  return isSamePoint(coefficients, REVERT) ? 'revert' : 'relora';
}
