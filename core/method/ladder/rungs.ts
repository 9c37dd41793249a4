import { COPY, isSamePoint, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import { revertedLoss, searchCoefficients } from '../search/coefficient-search.ts';
import type { SearchOptions, SearchTask } from '../search/search-task.ts';
import type { RungName } from './candidate.ts';
import type { Ladder } from './ladder.ts';

/** One step of a ladder, which makes candidates in one way. */
export interface Rung {
  readonly name: RungName;
  /**
   * Whether the rung trains adapters. Once an adapter is published, only such rungs still run, in search of a better
   * one.
   */
  readonly trains: boolean;
  /** Whether the rung searches or trains, which takes at least as long as measuring an adapter on the gate rows. */
  readonly isCostly: boolean;
  run(ladder: Ladder): Promise<void>;
}

/** Has the gate judge the old adapter, unchanged, on the new base. */
export const copyRung: Rung = {
  name: 'copy',
  trains: false,
  isCostly: false,
  async run(ladder) {
    ladder.enter('copy');
    await ladder.consider({ id: 'copy', rung: 'copy', strategy: 'reuse', ...COPY, step: 0 }, ladder.context.oldAdapter);
  },
};

/** Has the gate judge the old adapter with the base's change undone, as far as the adapter's rank allows. */
export const revertRung: Rung = {
  name: 'revert',
  trains: false,
  isCostly: false,
  async run(ladder) {
    ladder.enter('revert');
    await considerFused(ladder, 'revert', REVERT);
  },
};

/** Makes a rung that does the same as `rung`, but is skipped if `reasonAgainst` returns a reason. */
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
 * Range of revert's loss, as a multiple of copy's loss, within which the base's change matters little to the task. In
 * the registered run, 15 of 19 reverts in this range were certified at their only look, and none of the 29 others
 * (docs/method/ladder.md).
 */
export const NEAR = { least: 0.75, most: 1.05 };

/**
 * Makes a rung that runs only if the base's change matters little to the task: on the search rows, the loss of revert
 * must be between `least` and `NEAR.most` times the loss of copy. Otherwise the rung is skipped.
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
 * Makes a rung that searches for the fusion coefficients with the smallest loss on the search rows, and has the gate
 * judge their adapter unless another rung has tried it. If the budget of evaluations is 0, it uses the coefficients of
 * copy.
 * @param search options that override those of the job
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
 * Describes a search for fusion coefficients, with the data and functions of this ladder.
 * @param search options that override those of the job
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

/** Whether the gate has judged the untrained adapter with these coefficients on a rung other than `own`. */
export function isJudged(ladder: Ladder, coefficients: Coefficients, own: RungName): boolean {
  return ladder.candidates.some(({ rung, step, alpha, beta }) => {
    return rung !== own && step === 0 && alpha === coefficients.alpha && beta === coefficients.beta;
  });
}

function strategyOf(coefficients: Coefficients): 'reuse' | 'revert' | 'relora' {
  if (isSamePoint(coefficients, COPY)) return 'reuse';
  return isSamePoint(coefficients, REVERT) ? 'revert' : 'relora';
}
