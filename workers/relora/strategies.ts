import type { AdaptationContext, AdaptationOptions, AdaptationOutcome, StrategyName } from './adaptation.ts';
import { AdaptationError } from './errors.ts';
import { Ladder } from './ladder.ts';
import { copyRung, fineTuneRung, revertRung, searchRung, type Rung } from './rungs.ts';

const regularised = fineTuneRung({ from: 'best', regularised: true });
const plain = fineTuneRung({ from: 'best', regularised: false });
const fromScratch = fineTuneRung({ from: 'fresh', regularised: false });

/** What each strategy tries, in order. Every rung is gated; the first pass publishes. */
const RUNGS: Readonly<Record<StrategyName, readonly Rung[]>> = {
  reuse: [copyRung],
  revert: [revertRung],
  relora: [searchRung, regularised],
  'warm-start': [copyRung, plain],
  scratch: [fromScratch],
  auto: [copyRung, revertRung, searchRung, regularised],
};

/** Without a change in the adaptable modules every fusion is a scaled copy: there is nothing to revert or to search. */
const RUNGS_WITHOUT_EVOLUTION: readonly Rung[] = [copyRung, regularised];

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
  context.phase('initialize');
  const ladder = new Ladder(strategy, context, options);
  await ladder.publishBest();
  for (const rung of rungsOf(strategy, ladder)) await rung(ladder);
  return ladder.outcome();
}

function rungsOf(strategy: StrategyName, ladder: Ladder): readonly Rung[] {
  const { evolution } = ladder.context;
  if (!evolution && (strategy === 'revert' || strategy === 'relora')) {
    const message = `strategy ${strategy} needs the evolution between the base versions, found none`;
    throw new AdaptationError('evolution_required', message);
  }
  if (strategy !== 'auto') return RUNGS[strategy];
  if (evolution && evolution.adaptable.deltaNorm > 0) return RUNGS.auto;
  const reason = evolution ? 'no adaptable module of the base changed' : 'the evolution is not known';
  for (const rung of ['revert', 'search'] as const) ladder.skip(rung, reason);
  return RUNGS_WITHOUT_EVOLUTION;
}
