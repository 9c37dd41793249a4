import type { Preference, Strategy } from '../../options/job-options.ts';
import { AdaptationError } from '../errors.ts';
import { COPY } from '../fusion/coefficients.ts';
import type { SearchOptions } from '../search/search-task.ts';
import type { RungName } from './candidate.ts';
import type { LadderContext } from './ladder-context.ts';
import type { LadderOptions, LadderOutcome, LadderState, RungReport } from './ladder-state.ts';
import { Ladder } from './ladder.ts';
import { RungLog } from './rung-log.ts';
import { copyRung, isJudged, NEAR, revertRung, searchRung, unless, whereNear, type Rung } from './rungs.ts';
import { fineTuneRung, scratchRung } from './training-rungs.ts';

const fineTune = fineTuneRung({ regularization: 'own', patient: true });

/** Options of the paper's search, as we read it: it starts from no known point. */
const PAPER_SEARCH: SearchOptions = { startsFromKnown: false };

/** Options of a search under the preference `new_base`, which undoes at most half of the evolution. */
const KEEPING_NEW: SearchOptions = { betaBounds: [-0.5, 0.5] };

const searchWithBudget = (search?: SearchOptions): Rung =>
  unless((ladder) => (searches(ladder) ? null : 'its budget of evaluations is 0'), searchRung(search));

/**
 * Tries a revert first where the base's change matters little. If no search follows that could find better, or if the
 * gate publishes inconclusive candidates, it also tries a revert that is much better than the copy: most reverts are
 * good enough by their value (docs/method/gate.md, "On test rows").
 */
const revertAtFirst: Rung = {
  ...revertRung,
  run: (ladder) => {
    const isCertified = ladder.options.gate.on_inconclusive !== 'publish';
    return whereNear(revertRung, searches(ladder) && isCertified ? NEAR.least : 0).run(ladder);
  },
};

/**
 * Tries the copy after the search, unless the search found something better. Copy is a point of the search, and a look
 * at it costs as much as the search.
 */
const copyAfterSearch = unless((ladder) => {
  if (isJudged(ladder, COPY, 'copy')) return 'it is what the search found, which was tried';
  const follows = trains(ladder) && ladder.futility === null;
  return searches(ladder) && follows ? 'the search found something better on the search rows' : null;
}, copyRung);

const copyAtFirst: Rung = {
  ...copyRung,
  run: (ladder) => (searches(ladder) && trains(ladder) ? whereNear(copyRung) : copyRung).run(ladder),
};

function searches({ options, fused }: Ladder): boolean {
  return options.search?.evaluations !== 0 && fused.obstacle === null;
}

function trains({ context, options }: Ladder): boolean {
  return context.canTrain !== false && options.steps > 0;
}

const AUTO: Readonly<Record<Preference, readonly Rung[]>> = {
  old_behavior: [revertAtFirst, searchWithBudget(), copyAfterSearch, fineTune, scratchRung],
  new_base: [copyAtFirst, searchWithBudget(KEEPING_NEW), fineTune, scratchRung, revertRung],
};

/** The rungs of each strategy, in order. The gate judges every one, and the first that passes is published. */
const RUNGS: Readonly<Record<Exclude<Strategy, 'auto'>, readonly Rung[]>> = {
  reuse: [copyRung],
  revert: [revertRung],
  relora: [searchRung(), fineTuneRung({ regularization: 'own' })],
  'relora-paper': [searchRung(PAPER_SEARCH), fineTuneRung({ regularization: 'own' })],
  'warm-start': [copyRung, fineTuneRung({ regularization: null })],
  scratch: [scratchRung],
};

/** The strategies that need the evolution. `auto` also uses it, but can do without. */
const NEEDS_EVOLUTION: ReadonlySet<Strategy> = new Set(['revert', 'relora', 'relora-paper']);

/** Whether a strategy fuses the old adapter with the evolution. */
export function usesEvolution(strategy: Strategy): boolean {
  return strategy === 'auto' || NEEDS_EVOLUTION.has(strategy);
}

/** Rungs that use the evolution. */
const OF_EVOLUTION: ReadonlySet<RungName> = new Set(['revert', 'search']);

/**
 * Carries one adapter over to the new base by the named strategy, rung after rung.
 * @returns the outcome. Running out of steps is not an error: the outcome is then not ready, and has the best candidate
 * @throws AdaptationError, the signal's reason if it aborts, and whatever the context throws
 */
export async function runStrategy(
  strategy: Strategy,
  context: LadderContext,
  options: LadderOptions,
): Promise<LadderOutcome> {
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
  const ladder = await Ladder.begin(strategy, names, context, options);
  await ladder.publishBest();
  for (const rung of rungs.slice(names.indexOf(ladder.rung))) {
    if (ladder.isPublished && !rung.trains) continue;
    if (await ladder.isHeld()) break;
    const { obstacle } = ladder.fused;
    const futility = rung.isCostly ? ladder.futility : null;
    if (futility !== null) ladder.skip(rung.name, futility);
    else if (strategy === 'auto' && obstacle !== null && OF_EVOLUTION.has(rung.name)) ladder.skip(rung.name, obstacle);
    else await rung.run(ladder);
    ladder.leave();
  }
  ladder.warnOfRows();
  return ladder.outcome();
}

/** Reports the rungs of a run that was stopped, from its last checkpoint. */
export function reportRungs(state: LadderState, prefer?: Preference): RungReport[] {
  const names = rungsOf(state.strategy, prefer).map(({ name }) => name);
  return new RungLog(() => 0, state).reports(names, state);
}

function rungsOf(strategy: Strategy, prefer: Preference = 'old_behavior'): readonly Rung[] {
  return strategy === 'auto' ? AUTO[prefer] : RUNGS[strategy];
}
