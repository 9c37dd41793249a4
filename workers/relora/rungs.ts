import type { Adapter } from '../models/adapter.ts';
import type { CandidateRecord, CandidateStrategy } from './adaptation.ts';
import { COPY, REVERT, searchCoefficients } from './coefficient-search.ts';
import type { Coefficients } from './coefficients.ts';
import { fineTunedStrategy, type Ladder } from './ladder.ts';
import { isBetter } from './readiness-gate.ts';
import { DEFAULT_REGULARISATION, NO_REGULARISATION, type RegularisationOptions } from './regularisation.ts';

/** One thing to try. Rungs before fine-tuning do nothing once something is published. */
export type Rung = (ladder: Ladder) => Promise<void>;

/** The old adapter as it is. */
export async function copyRung(ladder: Ladder): Promise<void> {
  if (ladder.isPublished) return;
  ladder.enter('copy');
  await ladder.consider({ id: 'copy', strategy: 'reuse', ...COPY, step: 0 }, ladder.context.oldAdapter);
}

/** The old adapter with the base's change undone, as far as its rank can. */
export async function revertRung(ladder: Ladder): Promise<void> {
  if (ladder.isPublished) return;
  ladder.enter('revert');
  await ladder.consider({ id: 'revert', strategy: 'revert', ...REVERT, step: 0 }, ladder.fused(REVERT));
}

/** The coefficients of the smallest loss on the search rows. */
export async function searchRung(ladder: Ladder): Promise<void> {
  if (ladder.isPublished) return;
  ladder.enter('search');
  const { context, options } = ladder;
  const found = await searchCoefficients({
    options: ladder.searchFinished ? { ...options.search, evaluations: ladder.searchHistory.length } : (options.search ?? {}),
    seed: context.seed,
    signal: context.signal,
    history: ladder.searchHistory,
    fuse: (coefficients) => ladder.fused(coefficients),
    loss: (adapter) => context.searchLoss(adapter),
    onEvaluation: (evaluation, budget) => ladder.recordSearch(evaluation, budget),
    now: () => ladder.now(),
  });
  ladder.finishSearch();
  const { alpha, beta } = found;
  if (ladder.candidates.some((known) => known.alpha === alpha && known.beta === beta && known.step === 0)) {
    await ladder.checkpoint();
    return;
  }
  const proposal = { id: 'search', strategy: strategyOf(found), alpha, beta, step: 0 };
  await ladder.consider(proposal, ladder.fused(found));
}

/** Where fine-tuning starts, and how it is held back. */
export interface FineTuneRungOptions {
  readonly from: 'best' | 'fresh';
  readonly regularised: boolean;
}

/**
 * Fine-tunes with the gate at every evaluation. Before the first pass it may use the whole budget; after it, here or on
 * an earlier rung, `refineSteps` more, and only a better adapter is published.
 */
export function fineTuneRung({ from, regularised }: FineTuneRungOptions): Rung {
  return async (ladder) => {
    const { steps, refineSteps = 0, evaluateEvery } = ladder.options;
    const passedAt = () => stepOfFirstPass(ladder);
    const alreadyDone = passedAt() === 0;
    const budget = alreadyDone ? Math.min(steps, refineSteps) : steps;
    if (budget === 0) {
      if (!alreadyDone) ladder.skip('fine_tune', 'the budget of steps is 0');
      return;
    }
    if (ladder.isPublished && isOver(passedAt(), lastStep(ladder), refineSteps)) return;
    ladder.enter('fine_tune');
    const initial = startOf(ladder, from);
    await ladder.checkpoint();
    const regularisation = regularised ? regularisationOf(ladder) : NO_REGULARISATION;
    ladder.context.phase('fine_tune');
    await ladder.context.fineTune({
      initial: initial.adapter,
      regularisation,
      steps: budget,
      evaluateEvery,
      onEvaluate: async (step, adapter) => {
        const { alpha, beta, strategy } = initial;
        await ladder.consider({ id: `fine_tune@${step}`, strategy, alpha, beta, step }, adapter, 'fine_tune');
        return ladder.isPublished && isOver(passedAt(), step, refineSteps) ? 'stop' : 'continue';
      },
    });
  };
}

interface Start {
  readonly adapter: Adapter;
  readonly alpha: number | null;
  readonly beta: number | null;
  readonly strategy: CandidateStrategy;
}

/** The initial adapter. A resumed run finds the same one: it is chosen by what the state has recorded. */
function startOf(ladder: Ladder, from: 'best' | 'fresh'): Start {
  if (from === 'fresh') {
    return { adapter: ladder.context.createFresh(ladder.context.seed), alpha: null, beta: null, strategy: 'scratch' };
  }
  const chosen = bestStart(ladder);
  const coefficients = { alpha: chosen.alpha!, beta: chosen.beta! };
  return { adapter: ladder.fused(coefficients), ...coefficients, strategy: fineTunedStrategy(chosen) };
}

/** The best untrained candidate by the gate's metric; among equals the one of the smaller loss on the search rows. */
function bestStart(ladder: Ladder): CandidateRecord {
  const untrained = ladder.candidates.filter(({ step }) => step === 0);
  const lossOf = (candidate: CandidateRecord) => ladder.searchLossOf(candidate) ?? Infinity;
  return untrained.reduce((best, next) => {
    if (isBetter(next.metric, best.metric)) return next;
    return !isBetter(best.metric, next.metric) && lossOf(next) < lossOf(best) ? next : best;
  });
}

function regularisationOf(ladder: Ladder): RegularisationOptions {
  return ladder.options.regularisation ?? DEFAULT_REGULARISATION;
}

/** Fine-tuning steps taken when the gate was first passed, or null before. */
function stepOfFirstPass(ladder: Ladder): number | null {
  return ladder.candidates.find(({ passed }) => passed)?.step ?? null;
}

function lastStep(ladder: Ladder): number {
  return Math.max(0, ...ladder.candidates.map(({ step }) => step));
}

function isOver(passedAt: number | null, step: number, refineSteps: number): boolean {
  return passedAt !== null && step >= passedAt + refineSteps;
}

function strategyOf({ alpha, beta }: Coefficients): CandidateStrategy {
  if (alpha === COPY.alpha && beta === COPY.beta) return 'reuse';
  return alpha === REVERT.alpha && beta === REVERT.beta ? 'revert' : 'relora';
}
