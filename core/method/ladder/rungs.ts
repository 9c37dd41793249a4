import { COPY, isSamePoint, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import { revertedLoss, searchCoefficients } from '../search/coefficient-search.ts';
import type { SearchOptions, SearchTask } from '../search/search-task.ts';
import type { RungName } from './candidate.ts';
import type { Ladder } from './ladder.ts';

/** Step of a ladder: one way of making a candidate. */
export interface Rung {
  readonly name: RungName;
  /**
   * Whether the rung trains its candidate. Once an adapter is published, only rungs that train may still run, to refine
   * the adapter.
   */
  readonly trains: boolean;
  /** Whether the rung searches or trains, which costs at least as much as a look at the gate rows. */
  readonly isCostly: boolean;
  run(ladder: Ladder): Promise<void>;
}

/** Tries the old adapter as it is. */
export const copyRung: Rung = {
  name: 'copy',
  trains: false,
  isCostly: false,
  async run(ladder) {
    ladder.enter('copy');
    await ladder.consider({ id: 'copy', rung: 'copy', strategy: 'reuse', ...COPY, step: 0 }, ladder.context.oldAdapter);
  },
};

/** Tries the old adapter with the evolution undone, as far as the adapter's rank allows. */
export const revertRung: Rung = {
  name: 'revert',
  trains: false,
  isCostly: false,
  async run(ladder) {
    ladder.enter('revert');
    await considerFused(ladder, 'revert', REVERT);
  },
};

/** Skips a rung if there is a reason against it. */
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
 * Range of revert's loss, in multiples of copy's loss, in which the base's change matters little to the task. In the
 * registered run, 15 of 19 such reverts were certified at their only look, and none of the 29 others
 * (docs/method/ladder.md).
 */
export const NEAR = { least: 0.75, most: 1.05 };

/**
 * Runs a rung only if the losses of copy and revert on the search rows show that the base's change matters little to
 * the task.
 * @param least smallest multiple of copy's loss at which the rung runs
 */
export function whereNear(rung: Rung, least = NEAR.least): Rung {
  return {
    ...rung,
    async run(ladder) {
      ladder.enter(rung.name);
      const multiple = await revertedLoss(searchTask(ladder));
      if (multiple >= least && multiple <= NEAR.most) return rung.run(ladder);
      const found = `revert has ${Number(multiple.toPrecision(3))} times the loss of copy on the search rows`;
      ladder.skip(rung.name, `${found}; between ${least} and ${NEAR.most} times, ${rung.name} is looked at first`);
    },
  };
}

/**
 * Searches for the coefficients with the smallest loss on the search rows. With a budget of 0 evaluations, takes those
 * of the copy rung.
 * @param search overrides the job's search options
 */
export function searchRung(search?: SearchOptions): Rung {
  return {
    name: 'search',
    trains: false,
    isCostly: true,
    async run(ladder) {
      ladder.enter('search');
      const searches = ladder.options.search?.evaluations !== 0;
      const found = searches ? await searchCoefficients(searchTask(ladder, search)) : COPY;
      if (!isJudged(ladder, found, 'search')) return considerFused(ladder, 'search', found);
      ladder.skip('search', `it found nothing better than ${strategyOf(found)}, which was tried`);
      await ladder.checkpoint();
    },
  };
}

/**
 * Describes a search on this ladder.
 * @param search overrides the job's search options
 */
function searchTask(ladder: Ladder, search?: SearchOptions): SearchTask {
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

async function considerFused(ladder: Ladder, rung: RungName, { alpha, beta }: Coefficients): Promise<void> {
  const proposal = { id: rung, rung, strategy: strategyOf({ alpha, beta }), alpha, beta, step: 0 };
  await ladder.consider(proposal, await ladder.fused.at({ alpha, beta }));
}

/** Whether the gate has judged the untrained adapter of these coefficients on another rung than `own`. */
export function isJudged(ladder: Ladder, coefficients: Coefficients, own: RungName): boolean {
  return ladder.candidates.some(({ rung, step, alpha, beta }) => {
    return rung !== own && step === 0 && alpha === coefficients.alpha && beta === coefficients.beta;
  });
}

function strategyOf(coefficients: Coefficients): 'reuse' | 'revert' | 'relora' {
  if (isSamePoint(coefficients, COPY)) return 'reuse';
  return isSamePoint(coefficients, REVERT) ? 'revert' : 'relora';
}
