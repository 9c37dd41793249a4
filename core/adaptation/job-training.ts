import type { TokenizedExample } from '../data/example.ts';
import type { Runtime } from '../engine/runtime.ts';
import type { RungName } from '../method/ladder/candidate.ts';
import type { FineTuneRequest } from '../method/ladder/ladder-context.ts';
import type { JobSettings } from '../options/job-settings.ts';
import { KEPT_CHECKPOINTS, type Checkpoint } from '../training/checkpoint.ts';
import { TrainingDivergedError } from '../training/loss-monitor.ts';
import { withFactorArrays } from '../training/optimizer/factors.ts';
import { decodeTrainerState, encodeTrainerState, type TrainerState } from '../training/trainer-state.ts';
import { train, type StepReport } from '../training/trainer.ts';
import type { JobEvent, MetricPoint } from './job-events.ts';
import type { GradientPrecision } from './setup/gradient-precision.ts';

export interface JobTrainingOptions {
  /** Object that chooses the precision of gradients. It makes its choice when gradients are first needed. */
  readonly gradients: GradientPrecision;
  /**
   * Returns the rows to train on after `step` steps of a training. The call may take long, and may load another base,
   * because nothing else uses a base meanwhile.
   */
  trainingRows(step: number): Promise<TrainingRows>;
  readonly settings: JobSettings;
  readonly signal: AbortSignal;
  emit(event: JobEvent): void;
  /** Saves the job's checkpoint. */
  save(): Promise<void>;
}

/** Rows to train on, and the number of steps for which they suffice. */
export interface TrainingRows {
  readonly examples: readonly TokenizedExample[];
  /**
   * Number of steps, counted from the first one of the training, for which these rows may be used. For later steps, the
   * training has to ask for other rows.
   */
  readonly steps: number;
}

/** Numbers of steps and of input tokens, and seconds of training, of one or several trainings. */
export interface TrainingTotals {
  readonly steps: number;
  readonly tokens: number;
  readonly seconds: number;
}

/** State of a job's trainings as the checkpoint stores it beside the tensors. Plain JSON. */
export interface TrainingState {
  /** Rung that is being trained or was trained last; null before the first training. */
  readonly rung: RungName | null;
  /** State of the training on `rung`; null before its first step. */
  readonly trainer: unknown;
  /** Totals of the trainings of earlier rungs. */
  readonly before: TrainingTotals;
  /** Latest metric points of all trainings, at most {@link KEPT_POINTS}. */
  readonly points: readonly MetricPoint[];
  /**
   * Coefficient λ of the L2 penalty that was reported last, so that a resumed training does not report it again; null
   * before the first report.
   */
  readonly regularization: number | null;
}

/** Section of a training for which the same rows are used. */
interface TrainingPart {
  readonly rows: TrainingRows;
  readonly resume: TrainerState | undefined;
  readonly isDue: (step: number) => boolean;
}

/** Milliseconds after which a training saves a checkpoint, even if no evaluation has saved one. */
const CHECKPOINT_MS = 30_000;
/** Number of steps whose metric points are collected into one event. */
const POINTS_EVERY = 10;

/**
 * Number of latest metric points that a checkpoint keeps. A resumed job sends these points again, because the receiver
 * may have died before it stored them. It cannot have lost more points than these.
 */
const KEPT_POINTS = 2000;

const NO_TRAINING: TrainingTotals = { steps: 0, tokens: 0, seconds: 0 };

/**
 * Trainings of one job, one for each rung of the ladder that trains. A checkpoint stores their state, so that they can
 * resume.
 */
export class JobTraining {
  readonly #options: JobTrainingOptions;
  #rung: RungName | null = null;
  #trainer: TrainerState | null = null;
  #before = NO_TRAINING;
  #savedAt = performance.now();
  /** Numbers of training steps at which the existing checkpoints were saved. */
  #savedSteps: readonly number[] = [];
  #points: MetricPoint[] = [];
  /**
   * Coefficient λ of the L2 penalty that was reported last; null before the first report. Only changes are reported.
   */
  #regularization: number | null = null;
  #reportedPoints: readonly MetricPoint[] = [];

  constructor(options: JobTrainingOptions) {
    this.#options = options;
  }

  /** Totals of all trainings of the job so far. */
  get totals(): TrainingTotals {
    if (this.#trainer === null) return this.#before;
    const { optimizer, tokens, seconds } = this.#trainer;
    return {
      steps: this.#before.steps + optimizer.step,
      tokens: this.#before.tokens + tokens,
      seconds: this.#before.seconds + seconds,
    };
  }

  /**
   * Trains as {@link FineTuneRequest} describes. If a checkpoint of the same rung's training was restored, the training
   * continues from it.
   */
  async fineTune(request: FineTuneRequest): Promise<void> {
    const { rung, initial, steps, evaluateEvery, onEvaluate } = request;
    this.#begin(rung);
    const resume = this.#trainer ?? undefined;
    const isDue = (step: number): boolean => step > 0 && (step % evaluateEvery === 0 || step === steps);
    if (resume && isDue(resume.optimizer.step)) {
      this.#reportProgress(resume.optimizer.step, steps);
      const adapter = withFactorArrays(initial, resume.parameters);
      if ((await onEvaluate(resume.optimizer.step, adapter)) === 'stop') return;
    }
    const origin = request.fresh ? 'fresh' : 'carried';
    let hasEnded = (this.#trainer?.optimizer.step ?? 0) >= steps;
    while (!hasEnded) {
      const from = this.#trainer ?? undefined;
      const part = { rows: await this.#options.trainingRows(from?.optimizer.step ?? 0), resume: from, isDue };
      hasEnded = await this.#options.gradients.use(initial, origin, (runtime) => this.#train(runtime, request, part));
    }
    this.flushPoints();
  }

  /**
   * Trains with the given rows, as long as they may be used.
   * @returns true if the training has ended, false if it has to go on with other rows
   */
  async #train(
    runtime: Runtime,
    { initial, steps, fresh, regularization, anchor, onEvaluate }: FineTuneRequest,
    { rows, resume, isDue }: TrainingPart,
  ): Promise<boolean> {
    const { settings, signal } = this.#options;
    let hasEnded = false;
    const run = train({
      runtime,
      initial,
      examples: rows.examples,
      steps,
      batchSize: settings.batchSize,
      learningRate: fresh ? settings.scratchLearningRate : settings.learningRate,
      regularization,
      anchor,
      seed: settings.seed,
      resume,
      signal,
      afterStep: async (report) => {
        this.#record(report);
        this.#reportProgress(report.step, steps);
        if (isDue(report.step)) hasEnded = (await onEvaluate(report.step, report.adapter)) === 'stop';
        else if (performance.now() - this.#savedAt > CHECKPOINT_MS) await this.#options.save();
        hasEnded ||= report.step === steps;
        return hasEnded || report.step === rows.steps ? 'stop' : 'continue';
      },
    });
    await run.catch((error: unknown) => {
      throw error instanceof TrainingDivergedError ? error.withCheckpoints(this.#savedSteps) : error;
    });
    return hasEnded;
  }

  /** Sends the metric points recorded since the last call, as one event. */
  flushPoints(): void {
    if (this.#points.length > 0) this.#options.emit({ type: 'points', points: this.#points });
    this.#reportedPoints = this.points;
    this.#points = [];
  }

  get points(): readonly MetricPoint[] {
    return [...this.#reportedPoints, ...this.#points].slice(-KEPT_POINTS);
  }

  encode(): { readonly state: TrainingState; readonly tensors: Checkpoint['tensors'] } {
    const trainer = this.#trainer ? encodeTrainerState(this.#trainer) : null;
    const [before, points, regularization] = [this.#before, this.points, this.#regularization];
    const state = { rung: this.#rung, trainer: trainer?.state ?? null, before, points, regularization };
    return { state, tensors: trainer?.tensors ?? new Map() };
  }

  /**
   * Restores the trainings from a checkpoint.
   * @param names names of the parameters, in the adapter's order
   */
  restore(
    { rung, trainer, before, points, regularization }: TrainingState,
    tensors: Checkpoint['tensors'],
    names: readonly string[],
  ): void {
    this.#rung = rung;
    this.#reportedPoints = points;
    this.#regularization = regularization;
    this.#before = before;
    if (trainer !== null) this.#trainer = decodeTrainerState({ state: trainer, tensors }, names);
    this.noteSaved();
  }

  /** Notes that a checkpoint was saved now: the training step and the time. */
  noteSaved(): void {
    this.#savedSteps = [...this.#savedSteps, this.#trainer?.optimizer.step ?? 0].slice(-KEPT_CHECKPOINTS);
    this.#savedAt = performance.now();
  }

  /**
   * Makes a rung's training the current one. If another rung has trained before, its totals are kept and its state is
   * dropped; a training of the same rung just continues.
   */
  #begin(rung: RungName): void {
    if (this.#rung !== null && this.#rung !== rung) {
      this.#before = this.totals;
      this.#trainer = null;
    }
    this.#rung = rung;
  }

  #reportProgress(step: number, steps: number): void {
    const { steps: before } = this.#before;
    this.#options.emit({ type: 'progress', step: before + step, totalSteps: before + steps });
  }

  #record({ step, loss, learningRate, regularization, state }: StepReport): void {
    this.#trainer = state;
    const { steps } = this.totals;
    this.#points.push(
      { name: 'train_loss', step: steps, value: loss },
      { name: 'learning_rate', step: steps, value: learningRate },
    );
    if (regularization !== this.#regularization) {
      this.#points.push({ name: 'regularization', step: steps, value: regularization });
      this.#regularization = regularization;
    }
    if (step % POINTS_EVERY === 0) this.flushPoints();
  }
}
