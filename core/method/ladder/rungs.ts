import { COPY, isSamePoint, REVERT, type Coefficients } from '../fusion/coefficients.ts';
import type { RungName } from './candidate.ts';
import type { Ladder } from './ladder.ts';
import { fleetBest, searchPair, type PairSearchOptions } from './searches/pair-search.ts';
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

export interface SearchRungOptions extends PairSearchOptions {
  /** The run's screening; the search starts from what it has measured. */
  readonly screening?: Screening;
}

/** Skips a rung if other coefficients that are known already are clearly better on the search rows. */
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

/** Tries the coefficients for which the fleet's finished searches promise the smallest loss. */
export function priorRung({ search, screening }: SearchRungOptions = {}): Rung {
  return {
    name: 'prior',
    refines: false,
    isCostly: false,
    async run(ladder) {
      const found = screening ? (await screening.of(ladder)).prior : fleetBest(ladder, { search });
      if (!found) return ladder.skip('prior', 'no other adapter of the rollout has been searched yet');
      if (isJudged(ladder, found)) {
        return ladder.skip('prior', `the fleet's best is ${strategyOf(found)}, which was tried`);
      }
      const better = await screening?.betterThan(found, ladder);
      if (better) return ladder.skip('prior', clearlyBetter(better));
      // The screening lets the gate judge only what is not clearly worse than these coefficients.
      if (screening && ladder.candidates.length > 0) {
        return ladder.skip('prior', `${pairOf(found)} is not clearly better than what was tried`);
      }
      ladder.enter('prior');
      await considerFused(ladder, 'prior', found);
    },
  };
}

/**
 * Searches for the coefficients with the smallest loss on the search rows. With a budget of 0 evaluations it only makes sure
 * that a candidate exists, by trying the copy.
 */
export function searchRung({ screening, ...options }: SearchRungOptions = {}): Rung {
  return {
    name: 'search',
    refines: false,
    isCostly: true,
    async run(ladder) {
      if (ladder.options.search?.evaluations === 0 && ladder.candidates.length > 0) {
        return ladder.skip('search', 'its budget of evaluations is 0');
      }
      ladder.enter('search');
      const screened = await screening?.of(ladder);
      const found = await searchPair(ladder, options, screened?.points);
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
