import type { CandidateStrategy, RungName } from './adaptation.ts';
import { commonPair, meanCoefficients, toCoefficientGroups } from './coefficient-groups.ts';
import { COPY, REVERT, searchCoefficients, searchSpace, type SearchOptions } from './coefficient-search.ts';
import { commonBounds, type CoefficientBounds, type Coefficients } from './coefficients.ts';
import { bestOfFleet } from './fleet-prior.ts';
import { searchGroups } from './group-search.ts';
import { groupingOf, type GroupedCoefficients, type GroupingName } from './grouping.ts';
import type { Ladder } from './ladder.ts';

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

/** What is changed of a ladder's search. */
export interface SearchRungOptions {
  /** In place of what the job's own search options say; bounds narrow the job's own. */
  readonly search?: SearchOptions;
  /** Whether what other adapters' searches found is used. Default true. */
  readonly fleet?: boolean;
}

/** The coefficients of which the fleet's finished searches expect the smallest loss. */
export function priorRung({ search }: SearchRungOptions = {}): Rung {
  return {
    name: 'prior',
    refines: false,
    async run(ladder) {
      const space = searchSpace(boundsOf(ladder, search));
      const found = bestOfFleet(ladder.context.fleetSearches ?? [], space, [COPY, REVERT]);
      if (!found) return ladder.skip('prior', 'no other adapter of the rollout has been searched yet');
      if (isJudged(ladder, found)) return ladder.skip('prior', `the fleet's best is ${strategyOf(found)}, which was tried`);
      ladder.enter('prior');
      await considerFused(ladder, 'prior', found);
    },
  };
}

/** The coefficients of the smallest loss on the search rows: one pair, or one for each group of the job's grouping. */
export function searchRung(rung: SearchRungOptions = {}): Rung {
  return {
    name: 'search',
    refines: false,
    async run(ladder) {
      ladder.enter('search');
      const { grouping = 'global' } = ladder.options;
      if (grouping === 'global') return considerFound(ladder, await findPair(ladder, rung));
      const modules = ladder.evolution.modules.keys();
      const found = await searchGroups(ladder, groupingOf(grouping, modules), boundsOf(ladder, rung.search));
      return considerGroups(ladder, grouping, found);
    },
  };
}

function findPair(ladder: Ladder, { search, fleet = true }: SearchRungOptions): Promise<Coefficients> {
  const { context, options } = ladder;
  return searchCoefficients({
    options: { ...options.search, ...search, ...boundsOf(ladder, search) },
    seed: context.seed,
    signal: context.signal,
    history: ladder.searchHistory,
    fuse: (coefficients) => ladder.fused(coefficients),
    rowTokens: context.searchRowTokens,
    rowLosses: (adapter, rows) => context.searchRowLosses(adapter, rows),
    fleet: fleet ? context.fleetSearches : undefined,
    onEvaluation: (evaluation, budget) => ladder.recordSearch(evaluation, budget),
    now: () => ladder.now(),
  });
}

async function considerFound(ladder: Ladder, found: Coefficients): Promise<void> {
  ladder.finishSearch();
  if (!isJudged(ladder, found)) return considerFused(ladder, 'search', found);
  ladder.skip('search', `it found nothing surely better than ${strategyOf(found)}, which was tried`);
  await ladder.checkpoint();
}

async function considerGroups(ladder: Ladder, grouping: GroupingName, found: GroupedCoefficients): Promise<void> {
  const pair = commonPair(found);
  if (pair) return considerFound(ladder, pair);
  ladder.finishSearch();
  const mean = meanCoefficients(found, ladder.context.oldAdapter.modules.keys());
  const groups = toCoefficientGroups(grouping, found);
  await ladder.consider({ id: 'search', rung: 'search', strategy: 'relora', ...mean, groups, step: 0 }, ladder.fused(found));
}

async function considerFused(ladder: Ladder, rung: RungName, { alpha, beta }: Coefficients): Promise<void> {
  const proposal = { id: rung, rung, strategy: strategyOf({ alpha, beta }), alpha, beta, step: 0 };
  await ladder.consider(proposal, ladder.fused({ alpha, beta }));
}

/** Whether the gate has seen these coefficients, on another rung. */
function isJudged(ladder: Ladder, { alpha, beta }: Coefficients): boolean {
  return ladder.candidates.some((known) => known.alpha === alpha && known.beta === beta && known.step === 0 && !known.groups);
}

function boundsOf({ options }: Ladder, search: SearchOptions = {}): Required<CoefficientBounds> {
  return commonBounds(options.search ?? {}, search);
}

function strategyOf({ alpha, beta }: Coefficients): CandidateStrategy {
  if (alpha === COPY.alpha && beta === COPY.beta) return 'reuse';
  return alpha === REVERT.alpha && beta === REVERT.beta ? 'revert' : 'relora';
}
