import type { Adapter } from '../../models/lora/adapter.ts';
import { isBetter, type SearchMeasurement } from '../gate/readiness-gate.ts';
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
  /** Regularization of the training. `own` stands for that of the run's options, and null for none. */
  readonly regularization: 'own' | RegularizationOptions | null;
  /**
   * Whether the training may end early by the run's option `patience`, if evaluations show no improvement. Default
   * false.
   */
  readonly patient?: boolean;
}

/**
 * Makes a rung that trains an adapter that was carried over: the published one or, if none is published, the one with
 * the smallest loss on the search rows.
 */
export function fineTuneRung(options: FineTuneRungOptions): Rung {
  return trainingRung('fine_tune', carriedStart, options);
}

/** Rung that trains a fresh adapter with the training steps that other rungs have left. */
export const scratchRung: Rung = trainingRung('scratch', freshStart, { regularization: null });

/**
 * Makes a rung that trains, and measures the adapter on the search rows at every evaluation. The gate judges the
 * adapter if it does at least as well on these rows as at any earlier look and is likely to pass. The last adapter of
 * the training is judged in any case. Until a candidate passes, on this rung or an earlier one, the training may use
 * all steps left. From then on it takes `refineSteps` more, and publishes another version only if it is better beyond
 * noise.
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
          const looks = await ladder.watch(proposal, adapter, (measured) => training.looksAt(measured));
          if (looks) await ladder.consider(proposal, adapter, 'fine_tune');
          return training.isOver() || ladder.futility !== null || (await ladder.isHeld()) ? 'stop' : 'continue';
        },
      });
    },
  };
}

/**
 * Decides for one training whether it begins, when it ends, and at which evaluations the gate judges its adapter. It
 * uses only records of the ladder, so that a resumed run decides the same.
 */
class Training {
  /** Largest number of steps of this training. */
  readonly steps: number;
  readonly #ladder: Ladder;
  readonly #rung: RungName;
  readonly #patience: number;
  /** Whether a candidate of another rung was the first that could be published, so that this training only refines. */
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

  /**
   * Reason why no training begins: an empty string if none is needed, or a text for the report if none is possible.
   * Null if the training can begin.
   */
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
   * Whether the gate shall judge an adapter, by its outcomes on the search rows. The last adapter of a training is
   * judged in any case, unless a candidate is already published. An adapter whose metric is not finite is never judged.
   */
  looksAt(measured: SearchMeasurement): boolean {
    const { metric } = measured;
    if (!Number.isFinite(metric.value)) return false;
    const { watched, isPublished } = this.#ladder;
    if (isPublished) return watched.promisesMore(metric);
    return this.isOver() || (watched.promisesNoLess(metric) && this.#ladder.isPromising(measured));
  }

  /** Returns the number of steps that all other rungs together have trained. */
  #stepsOfOthers(): number {
    const { watched } = this.#ladder;
    const others = new Set(watched.records.filter(({ rung }) => rung !== this.#rung).map(({ rung }) => rung));
    return [...others].reduce((sum, rung) => sum + watched.stepsOf(rung), 0);
  }

  /**
   * Whether another rung has trained, so that its training has already searched for something better than the published
   * candidate.
   */
  #isRefinedElsewhere(): boolean {
    return this.#stepsOfOthers() > 0;
  }
}

/** Returns the number of evaluations that have followed the best one. */
function sinceBest(watched: readonly WatchRecord[]): number {
  let best = 0;
  watched.forEach(({ metric }, i) => {
    if (isBetter(metric, watched[best]!.metric)) best = i;
  });
  return watched.length - 1 - best;
}

/**
 * Adapter that a training starts from, with its fusion coefficients and the strategy of the candidates that come of it.
 */
interface Start extends Pick<Proposal, 'strategy' | 'alpha' | 'beta'> {
  readonly adapter: Adapter;
}

function freshStart({ context }: Ladder): Start {
  return { adapter: context.createFresh(context.seed), alpha: null, beta: null, strategy: 'scratch' };
}

/**
 * Chooses the adapter that fine-tuning starts from. The choice uses only recorded candidates, so that a resumed run
 * starts from the same adapter. A trained adapter has to do at least as well as this one on the search rows before the
 * gate judges it.
 */
async function carriedStart(ladder: Ladder): Promise<Start> {
  const chosen = bestUntrained(ladder);
  const { alpha, beta } = chosen;
  const adapter = await ladder.fused.initialOf(chosen);
  await ladder.watch(chosen, adapter, () => true);
  return { adapter, alpha, beta, strategy: fineTunedStrategy(chosen) };
}

/**
 * Returns the untrained candidate that is published; if none is, the untrained candidate with the smallest loss on the
 * search rows. The gate rows must not choose a candidate that they will judge.
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
