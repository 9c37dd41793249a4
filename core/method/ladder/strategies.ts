import type {
  AdaptationContext,
  AdaptationOptions,
  AdaptationOutcome,
  LadderState,
  Preference,
  RungReport,
  StrategyName,
} from './adaptation.ts';
import type { SearchOptions } from '../search/search-task.ts';
import { COPY, REVERT } from '../fusion/coefficients.ts';
import { AdaptationError } from '../errors.ts';
import { Ladder } from './ladder.ts';
import { DEFAULT_REGULARIZATION } from '../regularization/regularization.ts';
import { RungLog } from './rung-log.ts';
import { copyRung, priorRung, revertRung, screenedRung, searchRung, type Rung } from './rungs.ts';
import { Screening } from './screening.ts';
import { fineTuneRung, scratchRung } from './training-rungs.ts';

const fineTune = fineTuneRung({ regularization: 'own', patient: true });

/**
 * The paper's search, as we read it: one pair of coefficients, nothing known beforehand, every point on all rows and the
 * whole budget spent; the smallest loss wins.
 */
const PAPER_SEARCH: SearchOptions = { racing: false, stepGain: 0 };

/** Under `new_base`: the base's change is undone by half at most. */
const KEEPING_NEW: SearchOptions = { betaBounds: [-0.5, 0.5] };

const AUTO: Readonly<Record<Preference, () => readonly Rung[]>> = {
  old_behavior: () => {
    const screening = new Screening();
    return [
      screenedRung(copyRung, COPY, screening),
      screenedRung(revertRung, REVERT, screening),
      priorRung({ screening }),
      searchRung({ screening }),
      fineTune,
      scratchRung,
    ];
  },
  new_base: () => [
    copyRung,
    priorRung({ search: KEEPING_NEW }),
    searchRung({ search: KEEPING_NEW }),
    fineTune,
    scratchRung,
    revertRung,
  ],
};

/** What each strategy tries, in order. Every rung is gated; the first pass publishes. */
const RUNGS: Readonly<Record<Exclude<StrategyName, 'auto'>, readonly Rung[]>> = {
  reuse: [copyRung],
  revert: [revertRung],
  relora: [searchRung(), fineTuneRung({ regularization: 'own' })],
  'relora-paper': [
    searchRung({ search: PAPER_SEARCH, fleet: false }),
    fineTuneRung({ regularization: DEFAULT_REGULARIZATION }),
  ],
  'warm-start': [copyRung, fineTuneRung({ regularization: null })],
  scratch: [scratchRung],
};

/** The strategies that cannot do without what changed in the base. */
const NEEDS_EVOLUTION: ReadonlySet<StrategyName> = new Set(['revert', 'relora', 'relora-paper']);

/** The rungs that are made of it. */
const OF_EVOLUTION: ReadonlySet<Rung['name']> = new Set(['revert', 'prior', 'search']);

/**
 * Carries one adapter over to the new base version by the named strategy, cheapest rung first.
 * @returns the outcome; a run out of budget is not an error but not ready, with the best candidate kept
 * @throws AdaptationError, the signal's reason when aborted, and whatever the context throws
 */
export async function runStrategy(
  strategy: StrategyName,
  context: AdaptationContext,
  options: AdaptationOptions,
): Promise<AdaptationOutcome> {
  context.signal.throwIfAborted();
  const rungs = rungsOf(strategy, options.prefer);
  if (!context.evolution && NEEDS_EVOLUTION.has(strategy)) {
    throw new AdaptationError(
      'evolution_required',
      `strategy ${strategy} needs the evolution between the base versions, found none`,
    );
  }
  context.phase('initialize');
  const names = rungs.map(({ name }) => name);
  const ladder = new Ladder(strategy, names, context, options);
  await ladder.publishBest();
  for (const rung of rungs.slice(names.indexOf(ladder.rung))) {
    if (ladder.isPublished && !rung.refines) continue;
    const { unfusable } = ladder;
    if (strategy === 'auto' && unfusable !== null && OF_EVOLUTION.has(rung.name)) ladder.skip(rung.name, unfusable);
    else await rung.run(ladder);
    ladder.leave();
  }
  ladder.warnOfRows();
  return ladder.outcome();
}

/** What became of the rungs of a run that was stopped, by its last checkpoint. */
export function reportRungs(state: LadderState, prefer?: Preference): RungReport[] {
  const names = rungsOf(state.strategy, prefer).map(({ name }) => name);
  return new RungLog(() => 0, state).reports(names, state.candidates);
}

function rungsOf(strategy: StrategyName, prefer: Preference = 'old_behavior'): readonly Rung[] {
  return strategy === 'auto' ? AUTO[prefer]() : RUNGS[strategy];
}
