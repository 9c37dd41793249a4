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
import type { WatchRecord } from './watch-log.ts';

export interface FineTuneRungOptions {
  /** Regularization of the training: `own` takes the one of the run's options; null is none. */
  readonly regularization: 'own' | RegularizationOptions | null;
  /** Whether the run's patience may end the training early. Default false. */
  readonly patient?: boolean;
}

/** Fine-tunes the best untrained candidate. */
export function fineTuneRung(options: FineTuneRungOptions): Rung {
  return trainingRung('fine_tune', carriedStart, options);
}

/** Trains a fresh adapter with the steps that are left. */
export const scratchRung: Rung = trainingRung('scratch', freshStart, { regularization: null });

/**
 * Trains, and measures the adapter on the search rows at every evaluation. The gate judges the adapter only if its
 * metric on the search rows is better than at any earlier look and makes a pass plausible, and at the end. Until a
 * candidate passes, on this rung or an earlier one, the training may use all remaining steps. From then on it takes
 * `refineSteps` more, and publishes another version only if it is better beyond noise.
 */
function trainingRung(
  name: RungName,
  startOf: (ladder: Ladder) => Start | Promise<Start>,
  options: FineTuneRungOptions,
): Rung {
  return {
    name,
    trains: true,
    isCostly: true,
    async run(ladder) {
      const training = new Training(ladder, name, options.patient ? (ladder.options.patience ?? 0) : 0);
      const obstacle = training.obstacle();
      if (obstacle !== null) return obstacle === '' ? undefined : ladder.skip(name, obstacle);
      ladder.enter(name);
      const start = await startOf(ladder);
      await ladder.checkpoint();
      ladder.context.phase('fine_tune');
      const regularization = regularizationOf(ladder, options);
      await ladder.context.fineTune({
        rung: name,
        initial: start.adapter,
        fresh: start.strategy === 'scratch',
        regularization,
        anchor: regularization.towards === 'fused' ? await ladder.fused.wholeOf(start) : undefined,
        steps: training.steps,
        evaluateEvery: ladder.options.evaluateEvery,
        onEvaluate: async (step, adapter) => {
          const { alpha, beta, strategy } = start;
          const proposal = { id: `${name}@${step}`, rung: name, strategy, alpha, beta, step };
          const looks = await ladder.watch(proposal, adapter, (watched) => training.looksAt(watched));
          if (looks) await ladder.consider(proposal, adapter, 'fine_tune');
          return training.isOver() || ladder.futility !== null || (await ladder.isHeld()) ? 'stop' : 'continue';
        },
      });
    },
  };
}

/**
 * Decides when a training begins and ends and when the gate judges its adapter. It uses only records of the ladder, so
 * that a resumed run decides the same.
 */
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
    const first = ladder.firstPublishable;
    this.#refinesAnother = first !== undefined && first.rung !== rung;
    const left = steps - this.#stepsOfOthers();
    this.steps = Math.max(0, this.#refinesAnother ? Math.min(left, refineSteps) : left);
  }

  /** Reason for training nothing: an empty string if no training is needed, null if there is something to train. */
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
    const own = this.#ladder.watched.of(this.#rung);
    const last = own.at(-1)?.step ?? 0;
    if (last >= this.steps) return true;
    if (!this.#ladder.isPublished) return this.#patience > 0 && own.length > 0 && sinceBest(own) >= this.#patience;
    const passedAt = this.#refinesAnother ? 0 : this.#ladder.firstPublishable!.step;
    return last >= passedAt + (this.#ladder.options.refineSteps ?? 0);
  }

  /**
   * Whether the gate shall judge an adapter. At the end of the training, it shall in any case if it has judged no
   * adapter of this rung.
   */
  looksAt({ metric }: WatchRecord): boolean {
    if (!Number.isFinite(metric.value)) return false;
    const { watched, isPublished } = this.#ladder;
    const promisesMore = watched.promisesMore(metric);
    if (isPublished) return promisesMore;
    if (this.isOver()) return promisesMore || this.#ladder.candidatesOf(this.#rung).length === 0;
    return promisesMore && this.#ladder.isPlausible(metric);
  }

  /** Number of steps that other rungs have trained. */
  #stepsOfOthers(): number {
    const { watched } = this.#ladder;
    const others = new Set(watched.records.filter(({ rung }) => rung !== this.#rung).map(({ rung }) => rung));
    return [...others].reduce((sum, rung) => sum + watched.stepsOf(rung), 0);
  }

  /** Whether another rung has trained, and so has already refined its own candidate. */
  #isRefinedElsewhere(): boolean {
    return this.#stepsOfOthers() > 0;
  }
}

/** Number of evaluations since the best one. */
function sinceBest(watched: readonly WatchRecord[]): number {
  let best = 0;
  watched.forEach(({ metric }, i) => {
    if (isBetter(metric, watched[best]!.metric)) best = i;
  });
  return watched.length - 1 - best;
}

/** Adapter that a training starts from. */
interface Start extends Pick<Proposal, 'strategy' | 'alpha' | 'beta'> {
  readonly adapter: Adapter;
}

function freshStart({ context }: Ladder): Start {
  return { adapter: context.createFresh(context.seed), alpha: null, beta: null, strategy: 'scratch' };
}

/**
 * Chooses the start from recorded candidates, so that a resumed run starts from the same adapter. The training has to
 * exceed the start's metric on the search rows before the gate judges it again.
 */
async function carriedStart(ladder: Ladder): Promise<Start> {
  const chosen = bestUntrained(ladder);
  const { alpha, beta } = chosen;
  const adapter = await ladder.fused.initialOf(chosen);
  await ladder.watch(chosen, adapter, () => true);
  return { adapter, alpha, beta, strategy: fineTunedStrategy(chosen) };
}

/**
 * Returns the untrained candidate that is published, or else the best one by the search rows: gate rows must not choose
 * a candidate that they will judge.
 */
function bestUntrained({ candidates, firstPublishable: published }: Ladder): CandidateRecord {
  if (published?.step === 0) return published;
  const untrained = candidates.filter(({ step }) => step === 0);
  const lossOf = ({ searchLoss }: CandidateRecord) => searchLoss ?? Infinity;
  return untrained.reduce((best, next) => (lossOf(next) < lossOf(best) ? next : best));
}

function regularizationOf(ladder: Ladder, { regularization }: FineTuneRungOptions): RegularizationOptions {
  if (regularization === null) return NO_REGULARIZATION;
  return regularization === 'own' ? (ladder.options.regularization ?? DEFAULT_REGULARIZATION) : regularization;
}
