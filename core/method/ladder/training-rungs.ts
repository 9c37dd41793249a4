import type { Adapter } from '../../models/lora/adapter.ts';
import { isBetter } from '../gate/readiness-gate.ts';
import {
  DEFAULT_REGULARIZATION,
  NO_REGULARIZATION,
  type RegularizationOptions,
} from '../regularization/regularization.ts';
import { fineTunedStrategy, type CandidateRecord, type Proposal, type RungName } from './candidate.ts';
import type { Ladder } from './ladder.ts';
import type { Rung } from './rungs.ts';

export interface FineTuneRungOptions {
  /** `own` takes the regularization of the run's options; null is none. */
  readonly regularization: 'own' | RegularizationOptions | null;
  /** Whether the run's patience may end the training early. Default false. */
  readonly patient?: boolean;
}

/** Fine-tunes the best candidate that was not trained yet. */
export function fineTuneRung(options: FineTuneRungOptions): Rung {
  return trainingRung('fine_tune', startOfBest, options);
}

/** Trains a fresh adapter with the steps that are left. */
export const scratchRung: Rung = trainingRung('scratch', freshStart, { regularization: null });

/**
 * Trains, and lets the gate judge the adapter at every evaluation. Until a candidate passes, on this rung or an earlier
 * one, it may use all steps that are left; from then on `refineSteps` more, and another version is published only if it
 * is better by more than noise.
 */
function trainingRung(
  name: RungName,
  startOf: (ladder: Ladder) => Start | Promise<Start>,
  options: FineTuneRungOptions,
): Rung {
  return {
    name,
    refines: true,
    async run(ladder) {
      const training = new Training(ladder, name, options.patient ? (ladder.options.patience ?? 0) : 0);
      const obstacle = training.obstacle();
      if (obstacle !== null) return obstacle === '' ? undefined : ladder.skip(name, obstacle);
      ladder.enter(name);
      const start = await startOf(ladder);
      await ladder.checkpoint();
      ladder.context.phase('fine_tune');
      await ladder.context.fineTune({
        rung: name,
        initial: start.adapter,
        fresh: start.strategy === 'scratch',
        regularization: regularizationOf(ladder, options),
        steps: training.steps,
        evaluateEvery: ladder.options.evaluateEvery,
        onEvaluate: async (step, adapter) => {
          const { alpha, beta, groups, strategy } = start;
          const proposal = { id: `${name}@${step}`, rung: name, strategy, alpha, beta, groups, step };
          await ladder.consider(proposal, adapter, 'fine_tune');
          return training.isOver() ? 'stop' : 'continue';
        },
      });
    },
  };
}

/** Decides when a training begins and ends, from the judged candidates alone, so that a resumed run decides the same. */
class Training {
  /** Largest number of steps. */
  readonly steps: number;
  readonly #ladder: Ladder;
  readonly #rung: RungName;
  readonly #patience: number;
  /** Whether the first candidate that passed came from another rung. */
  readonly #refinesAnother: boolean;

  constructor(ladder: Ladder, rung: RungName, patience: number) {
    const { steps, refineSteps = 0 } = ladder.options;
    this.#ladder = ladder;
    this.#rung = rung;
    this.#patience = patience;
    const first = ladder.candidates.find(({ passed }) => passed);
    this.#refinesAnother = first !== undefined && first.rung !== rung;
    const left = steps - this.#stepsOfOthers();
    this.steps = Math.max(0, this.#refinesAnother ? Math.min(left, refineSteps) : left);
  }

  /** Why nothing is trained; empty if nothing needs to be, null if there is something to train. */
  obstacle(): string | null {
    const { context, isPublished } = this.#ladder;
    if (isPublished && (this.#refinesAnother ? this.steps === 0 || this.#isRefinedElsewhere() : this.isOver()))
      return '';
    if (context.canTrain === false) return 'no training rows are shared';
    if (this.steps === 0)
      return this.#stepsOfOthers() > 0 ? 'the budget of steps is used up' : 'the budget of steps is 0';
    return this.isOver() ? '' : null;
  }

  isOver(): boolean {
    const own = this.#ladder.candidatesOf(this.#rung);
    const last = own.at(-1)?.step ?? 0;
    if (last >= this.steps) return true;
    if (!this.#ladder.isPublished) return this.#patience > 0 && own.length > 0 && sinceBest(own) >= this.#patience;
    const passedAt = this.#refinesAnother ? 0 : own.find(({ passed }) => passed)!.step;
    return last >= passedAt + (this.#ladder.options.refineSteps ?? 0);
  }

  /** Number of steps that other rungs have trained. */
  #stepsOfOthers(): number {
    const others = this.#ladder.candidates.filter(({ rung, step }) => rung !== this.#rung && step > 0);
    const rungs = new Set(others.map(({ rung }) => rung));
    return [...rungs].reduce((sum, rung) => sum + this.#ladder.candidatesOf(rung).at(-1)!.step, 0);
  }

  /** Whether another rung has trained, and so refined what it found itself. */
  #isRefinedElsewhere(): boolean {
    return this.#stepsOfOthers() > 0;
  }
}

/** Number of evaluations since the best one. */
function sinceBest(candidates: readonly CandidateRecord[]): number {
  let best = 0;
  candidates.forEach(({ metric }, i) => {
    if (isBetter(metric, candidates[best]!.metric)) best = i;
  });
  return candidates.length - 1 - best;
}

/** What a training starts from. */
interface Start extends Pick<Proposal, 'strategy' | 'alpha' | 'beta' | 'groups'> {
  readonly adapter: Adapter;
}

function freshStart({ context }: Ladder): Start {
  return { adapter: context.createFresh(context.seed), alpha: null, beta: null, strategy: 'scratch' };
}

/** Chooses by what the state has recorded, so that a resumed run starts from the same adapter. */
async function startOfBest(ladder: Ladder): Promise<Start> {
  const chosen = bestStart(ladder);
  const { alpha, beta, groups } = chosen;
  return { adapter: await ladder.fused.initialOf(chosen), alpha, beta, groups, strategy: fineTunedStrategy(chosen) };
}

/** Returns the best untrained candidate by the gate's metric; of equals, the one with the smaller loss on the search rows. */
function bestStart(ladder: Ladder): CandidateRecord {
  const untrained = ladder.candidates.filter(({ step }) => step === 0);
  const lossOf = (candidate: CandidateRecord) => ladder.searchLossOf(candidate) ?? Infinity;
  return untrained.reduce((best, next) => {
    if (isBetter(next.metric, best.metric)) return next;
    return !isBetter(best.metric, next.metric) && lossOf(next) < lossOf(best) ? next : best;
  });
}

function regularizationOf(ladder: Ladder, { regularization }: FineTuneRungOptions): RegularizationOptions {
  if (regularization === null) return NO_REGULARIZATION;
  return regularization === 'own' ? (ladder.options.regularization ?? DEFAULT_REGULARIZATION) : regularization;
}
