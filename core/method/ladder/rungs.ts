import type { RungName } from './adaptation.ts';
import { commonPair, meanCoefficients, toCoefficientGroups } from '../fusion/grouping.ts';
import { COPY, isSamePoint, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import { searchGroups } from './group-search.ts';
import { groupingOf, type GroupedCoefficients, type GroupingName } from '../fusion/grouping.ts';
import type { Ladder } from './ladder.ts';
import { fleetBest, searchBounds, searchPair, type PairSearchOptions } from './pair-search.ts';
import type { Screening } from './screening.ts';

/** One thing to try. */
export interface Rung {
  readonly name: RungName;
  /** Whether it may have something to do once an adapter is published: refining it. */
  readonly refines: boolean;
  run(ladder: Ladder): Promise<void>;
}

/** The old adapter as it is. */
export const copyRung: Rung = {
  name: 'copy',
  refines: false,
  async run(ladder) {
    ladder.enter('copy');
    await ladder.consider({ id: 'copy', rung: 'copy', strategy: 'reuse', ...COPY, step: 0 }, ladder.context.oldAdapter);
  },
};

/** The old adapter with the base's change undone, as far as its rank can. */
export const revertRung: Rung = {
  name: 'revert',
  refines: false,
  async run(ladder) {
    ladder.enter('revert');
    await considerFused(ladder, 'revert', REVERT);
  },
};

export interface SearchRungOptions extends PairSearchOptions {
  /** Of the run; a search starts from what it has measured. */
  readonly screening?: Screening;
}

/** A rung that is not run where something else that is known is clearly better on the search rows. */
export function screenedRung(rung: Rung, coefficients: Coefficients, screening: Screening): Rung {
  return {
    ...rung,
    async run(ladder) {
      ladder.enter(rung.name);
      const better = await screening.betterThan(coefficients, ladder);
      if (better) ladder.skip(rung.name, clearlyBetter(better));
      else await rung.run(ladder);
    },
  };
}

/** The coefficients of which the fleet's finished searches expect the smallest loss. */
export function priorRung({ search, screening }: SearchRungOptions = {}): Rung {
  return {
    name: 'prior',
    refines: false,
    async run(ladder) {
      const found = screening ? (await screening.of(ladder)).prior : fleetBest(ladder, { search });
      if (!found) return ladder.skip('prior', 'no other adapter of the rollout has been searched yet');
      if (isJudged(ladder, found))
        return ladder.skip('prior', `the fleet's best is ${strategyOf(found)}, which was tried`);
      const better = await screening?.betterThan(found, ladder);
      if (better) return ladder.skip('prior', clearlyBetter(better));
      // What was judged before was not clearly worse than this.
      if (screening && ladder.candidates.length > 0)
        return ladder.skip('prior', `${pairOf(found)} is not clearly better than what was tried`);
      ladder.enter('prior');
      await considerFused(ladder, 'prior', found);
    },
  };
}

/**
 * The coefficients of the smallest loss on the search rows: one pair, or one for each group of the job's grouping. Without
 * a budget of evaluations it has copy judged where nothing else was.
 */
export function searchRung({ screening, ...options }: SearchRungOptions = {}): Rung {
  return {
    name: 'search',
    refines: false,
    async run(ladder) {
      const { grouping = 'global', search } = ladder.options;
      if (search?.evaluations === 0 && ladder.candidates.length > 0)
        return ladder.skip('search', 'its budget of evaluations is 0');
      ladder.enter('search');
      if (grouping === 'global')
        return considerFound(ladder, await searchPair(ladder, options, (await screening?.of(ladder))?.points));
      const modules = ladder.evolution.modules.keys();
      const found = await searchGroups(ladder, groupingOf(grouping, modules), searchBounds(ladder, options.search));
      return considerGroups(ladder, grouping, found);
    },
  };
}

async function considerFound(ladder: Ladder, found: Coefficients): Promise<void> {
  ladder.finishSearch();
  if (!isJudged(ladder, found)) return considerFused(ladder, 'search', found);
  ladder.skip('search', `it found nothing better than ${strategyOf(found)} beyond noise, which was tried`);
  await ladder.checkpoint();
}

async function considerGroups(ladder: Ladder, grouping: GroupingName, found: GroupedCoefficients): Promise<void> {
  const pair = commonPair(found);
  if (pair) return considerFound(ladder, pair);
  ladder.finishSearch();
  const mean = meanCoefficients(found, ladder.context.oldAdapter.modules.keys());
  const groups = toCoefficientGroups(grouping, found);
  await ladder.consider(
    { id: 'search', rung: 'search', strategy: 'relora', ...mean, groups, step: 0 },
    ladder.fused(found),
  );
}

async function considerFused(ladder: Ladder, rung: RungName, { alpha, beta }: Coefficients): Promise<void> {
  const proposal = { id: rung, rung, strategy: strategyOf({ alpha, beta }), alpha, beta, step: 0 };
  await ladder.consider(proposal, ladder.fused({ alpha, beta }));
}

/** Whether the gate has seen these coefficients, on another rung. */
function isJudged(ladder: Ladder, { alpha, beta }: Coefficients): boolean {
  return ladder.candidates.some(
    (known) => known.alpha === alpha && known.beta === beta && known.step === 0 && !known.groups,
  );
}

function clearlyBetter(point: Coefficients): string {
  const names = { reuse: 'copy', revert: 'revert', relora: pairOf(point) };
  return `${names[strategyOf(point)]} is clearly better on the search rows`;
}

function pairOf({ alpha, beta }: Coefficients): string {
  return `(${alpha.toFixed(2)}, ${beta.toFixed(2)})`;
}

function strategyOf(coefficients: Coefficients): 'reuse' | 'revert' | 'relora' {
  if (isSamePoint(coefficients, COPY)) return 'reuse';
  return isSamePoint(coefficients, REVERT) ? 'revert' : 'relora';
}
