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

/** Options of the search in the ReLoRA paper, as we read the paper: it does not measure copy and revert first. */
const PAPER_SEARCH: SearchOptions = { startsFromKnown: false };

/**
 * Options of the search if the new base's improvements are preferred (`new_base`): the search undoes at most half of
 * the base's change.
 */
const KEEPING_NEW: SearchOptions = { betaBounds: [-0.5, 0.5] };

const searchWithBudget = (search?: SearchOptions): Rung =>
  unless((ladder) => (searches(ladder) ? null : 'its budget of evaluations is 0'), searchRung(search));

/**
 * Rung that tries the revert before anything else if the base's change matters little to the task. If no later search
 * could find something better, or if the gate publishes inconclusive candidates, the rung also tries a revert with a
 * loss far below the copy's: most reverts are good enough by their value (docs/method/gate.md, "On test rows").
 */
const revertAtFirst: Rung = {
  ...revertRung,
  run: (ladder) => {
    const isCertified = ladder.options.gate.on_inconclusive !== 'publish';
    return whereNear(revertRung, searches(ladder) && isCertified ? NEAR.least : 0).run(ladder);
  },
};

/**
 * Rung that tries the copy after the search. It is skipped if the search found the copy itself, which has then been
 * tried already. It is also skipped if the search found something better that training may still improve, because a
 * look at the copy costs as much as the search.
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

function trains({ context, options }: Pick<Ladder, 'context' | 'options'>): boolean {
  return context.canTrain !== false && options.steps > 0;
}

const AUTO: Readonly<Record<Preference, readonly Rung[]>> = {
  old_behavior: [revertAtFirst, searchWithBudget(), copyAfterSearch, fineTune, scratchRung],
  new_base: [copyAtFirst, searchWithBudget(KEEPING_NEW), fineTune, scratchRung, revertRung],
};

/**
 * Rungs of each strategy, in the order in which they are tried. The gate judges their candidates, and the first that it
 * lets through is published.
 */
const RUNGS: Readonly<Record<Exclude<Strategy, 'auto'>, readonly Rung[]>> = {
  reuse: [copyRung],
  revert: [revertRung],
  relora: [searchRung(), fineTuneRung({ regularization: 'own' })],
  'relora-paper': [searchRung(PAPER_SEARCH), fineTuneRung({ regularization: 'own' })],
  'warm-start': [copyRung, fineTuneRung({ regularization: null })],
  scratch: [scratchRung],
};

/** Strategies that cannot run without the evolution. `auto` uses it too, but can do without. */
const NEEDS_EVOLUTION: ReadonlySet<Strategy> = new Set(['revert', 'relora', 'relora-paper']);

/** Whether a strategy fuses the old adapter with the evolution. */
export function usesEvolution(strategy: Strategy): boolean {
  return strategy === 'auto' || NEEDS_EVOLUTION.has(strategy);
}

/** Rungs that fuse the old adapter with the evolution. `auto` skips them if there is nothing to fuse. */
const OF_EVOLUTION: ReadonlySet<RungName> = new Set(['revert', 'search']);

/**
 * Carries one adapter over to the new base by a strategy, rung after rung.
 * @returns the outcome. Running out of steps is no error: the outcome is then not ready, and names the best candidate
 * @throws AdaptationError if the strategy needs an unknown evolution, the gate is invalid, or the state to resume
 * belongs to another run; the signal's reason if it aborts; any error that a function of the context throws
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
  const looksOnce = makesOneCandidate(rungs, { context, options });
  const ladder = await Ladder.begin({ strategy, rungs: names, looksOnce }, context, options);
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

/** Whether the run can make only a single candidate: only one of its rungs can run, and this rung does not train. */
function makesOneCandidate(rungs: readonly Rung[], job: Pick<Ladder, 'context' | 'options'>): boolean {
  const able = rungs.filter((rung) => !rung.trains || trains(job));
  return able.length === 1 && !able[0]!.trains;
}

/** Returns the reports on the rungs of a stopped run, from the state in its last checkpoint. */
export function reportRungs(state: LadderState, prefer?: Preference): RungReport[] {
  const names = rungsOf(state.strategy, prefer).map(({ name }) => name);
  return new RungLog(() => 0, state).reports(names, state);
}

function rungsOf(strategy: Strategy, prefer: Preference = 'old_behavior'): readonly Rung[] {
  return strategy === 'auto' ? AUTO[prefer] : RUNGS[strategy];
}
