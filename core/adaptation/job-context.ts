import { join } from 'node:path';
import { factorArrays, withFactorArrays } from '../training/optimizer/factors.ts';
import { saveAdapter } from '../formats/peft/peft-adapter-writer.ts';
import type { Adapter, LoraConfig } from '../models/lora/adapter.ts';
import type { BaseModel } from '../models/base-model.ts';
import { createAdapter } from '../models/lora/lora-init.ts';
import type {
  AdaptationContext,
  AdaptationEvent,
  Candidate as LadderCandidate,
  FineTuneRequest,
  LadderPhase,
  LadderState,
  RungName,
} from '../method/ladder/adaptation.ts';
import type { Evolution } from '../method/evolution/evolution.ts';
import type { FleetSearches } from '../method/search/fleet-prior.ts';
import type { LossAndGradients } from '../method/search/gradients/gradient-search.ts';
import type { GateMeasurement } from '../method/gate/readiness-gate.ts';
import { decodeBest, encodeBest } from './best-adapter.ts';
import { KEPT_CHECKPOINTS, type Checkpoint, type CheckpointStore } from '../training/checkpoint.ts';
import { meanLoss, measure } from '../data/evaluation.ts';
import type { TokenizedExample } from '../data/example.ts';
import { completionTokens, toOutcomes, type OutcomesSubject } from './gate-outcomes.ts';
import { accumulateGradients } from '../training/gradients.ts';
import type { JobListener } from './job-listener.ts';
import { toCandidate } from './job-listener.ts';
import type { AdaptationSettings } from './job-options.ts';
import { TrainingDivergedError } from '../training/loss-monitor.ts';
import type { PhaseClock } from './phase-clock.ts';
import type { JobSpec, TaskRows } from '../../workers/training/protocol.ts';
import type { LoadedBase } from '../engine/base-cache.ts';
import type { TaskData } from '../data/task-data.ts';
import { decodeTrainerState, encodeTrainerState, type TrainerState } from '../training/trainer-state.ts';
import { train, type StepReport } from '../training/trainer.ts';

export interface JobContextOptions {
  readonly spec: JobSpec;
  readonly settings: AdaptationSettings;
  readonly base: LoadedBase;
  readonly oldAdapter: Adapter;
  readonly evolution: Evolution | null;
  readonly data: TaskData;
  readonly checkpoints: CheckpointStore;
  /** The checkpoint to go on from; null at a first attempt. */
  readonly resumed: Checkpoint | null;
  readonly clock: PhaseClock;
  readonly listener: JobListener;
  readonly signal: AbortSignal;
}

/** What a job's checkpoint holds beside the tensors of trainer and best adapter. */
interface JobState {
  readonly ladder: LadderState;
  /** Is the best candidate's adapter among the tensors? */
  readonly hasBest: boolean;
  /** Its configuration, whose ranks may have grown; absent in checkpoints of versions whose ranks could not. */
  readonly bestConfig?: LoraConfig;
  /** Null while nothing is being trained. */
  readonly trainer: unknown;
  /** The rung that trains. */
  readonly training: RungName | null;
  /** What earlier trainings of the job have done. */
  readonly before: TrainingTotals;
}

interface TrainingTotals {
  readonly steps: number;
  readonly tokens: number;
  readonly seconds: number;
}

/** A slow job leaves a checkpoint at least so often, evaluations or not. */
const CHECKPOINT_MS = 30_000;
/** Steps whose metric points travel in one message. */
const POINTS_EVERY = 10;

/** The ladder's world: this process' runtime, trainer and evaluation, and a listener that hears of everything. */
export class JobContext implements AdaptationContext {
  readonly oldAdapter: Adapter;
  readonly evolution: Evolution | null;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly canTrain: boolean;
  readonly resume: AdaptationContext['resume'];
  /** Of all training so far. */
  tokens = 0;
  seconds = 0;
  step = 0;
  readonly #options: JobContextOptions;
  readonly #searchRows: readonly TokenizedExample[];
  #ladder: LadderState | null = null;
  #best: Adapter | null = null;
  #bestCandidate: LadderCandidate | null = null;
  /** Fine-tuning steps of the checkpoints that are kept. */
  #savedSteps: readonly number[] = [];
  #trainer: TrainerState | null = null;
  #training: RungName | null = null;
  #before: TrainingTotals = { steps: 0, tokens: 0, seconds: 0 };
  #savedAt = performance.now();
  #publications = 0;
  #points: { name: string; step: number; value: number }[] = [];

  constructor(options: JobContextOptions) {
    this.#options = options;
    this.oldAdapter = options.oldAdapter;
    this.evolution = options.evolution;
    this.seed = options.settings.seed;
    this.signal = options.signal;
    this.canTrain = options.data.canTrain;
    this.#searchRows = options.data.validation.slice(0, options.settings.searchRows);
    if (options.resumed) this.resume = this.#restore(options.resumed);
  }

  get data(): TaskRows {
    return this.canTrain ? 'training' : 'validation_only';
  }

  /** Where the ladder stood at its last checkpoint; null before the first. */
  get reached(): { readonly state: LadderState; readonly best: LadderCandidate | null } | null {
    return this.#ladder && { state: this.#ladder, best: this.#bestCandidate };
  }

  createFresh(seed: number): Adapter {
    const { config: base, weights } = this.#options.base.model;
    return createAdapter({ ...this.oldAdapter.config, base, weights, seed });
  }

  get fleetSearches(): FleetSearches {
    return this.#options.spec.fleet ?? [];
  }

  get baseWeights(): BaseModel['weights'] {
    return this.#options.base.model.weights;
  }

  get searchRowTokens(): number[] {
    return this.#searchRows.map(({ completionIds }) => completionIds.length);
  }

  async searchRowLosses(adapter: Adapter, rows: readonly number[]): Promise<Float64Array> {
    const { base, signal } = this.#options;
    const examples = rows.map((row) => this.#searchRows[row]!);
    return (await meanLoss(base.runtime, adapter, examples, { signal })).perExample;
  }

  /** In micro-batches, before each of which the signal is looked at. */
  async searchRowGradients(adapter: Adapter): Promise<LossAndGradients> {
    const { base, signal } = this.#options;
    return accumulateGradients(base.runtime, adapter, this.#searchRows, { signal });
  }

  async gateMetric(adapter: Adapter): Promise<GateMeasurement> {
    return this.measureOnGate(this.#options.base, adapter);
  }

  /** The job's metric on the gate rows, on either base; `null` is the base alone. */
  async measureOnGate(base: LoadedBase, adapter: Adapter | null): Promise<GateMeasurement> {
    const { data, spec, signal } = this.#options;
    const measured = await measure(base.runtime, adapter, data.test, {
      metric: spec.metric,
      choices: data.choices,
      signal,
    });
    const { metric, value, standardError, examples, perExample } = measured;
    return {
      metric: { name: metric, value, standardError, rows: examples },
      outcomes: { values: perExample, tokens: completionTokens(data) },
    };
  }

  /** What {@link measureOnGate} measures on a base. */
  gateSubject(base: LoadedBase): OutcomesSubject {
    const { data, spec } = this.#options;
    return { metric: spec.metric, data, precision: base.precision.precision };
  }

  async fineTune({
    rung,
    initial,
    fresh,
    regularization,
    steps,
    evaluateEvery,
    onEvaluate,
  }: FineTuneRequest): Promise<void> {
    const { base, data, settings, listener, signal } = this.#options;
    this.#begin(rung);
    const resume = this.#trainer ?? undefined;
    const isDue = (step: number): boolean => step > 0 && (step % evaluateEvery === 0 || step === steps);
    const report = (step: number): void => listener.progress(this.#before.steps + step, this.#before.steps + steps);
    if (resume && isDue(resume.optimizer.step)) {
      report(resume.optimizer.step);
      const adapter = withFactorArrays(initial, resume.parameters);
      if ((await onEvaluate(resume.optimizer.step, adapter)) === 'stop') return;
    }
    const run = train({
      runtime: base.runtime,
      initial,
      examples: data.train(),
      steps,
      batchSize: settings.batchSize,
      learningRate: fresh ? settings.scratchLearningRate : settings.learningRate,
      regularization,
      seed: settings.seed,
      resume,
      signal,
      afterStep: async (done) => {
        this.#note(done);
        report(done.step);
        if (isDue(done.step)) return onEvaluate(done.step, done.adapter);
        if (performance.now() - this.#savedAt > CHECKPOINT_MS) await this.save();
        return 'continue';
      },
    });
    await run.catch((error: unknown) => {
      throw error instanceof TrainingDivergedError ? error.withCheckpoints(this.#savedSteps) : error;
    });
    this.#flushPoints();
  }

  /** A rung's training starts anew, unless it is the one that a checkpoint was left of. */
  #begin(rung: RungName): void {
    if (this.#training !== null && this.#training !== rung) {
      this.#before = { steps: this.step, tokens: this.tokens, seconds: this.seconds };
      this.#trainer = null;
    }
    this.#training = rung;
  }

  async publish(candidate: LadderCandidate): Promise<void> {
    if (this.#options.spec.kind === 'control') return;
    const sequence = ++this.#publications;
    const dir = await this.writeCandidate(candidate, `candidate-${sequence}`);
    const outcomes = toOutcomes(candidate, this.gateSubject(this.#options.base));
    await this.#options.listener.publish(sequence, dir, toCandidate(candidate, this.data), outcomes);
  }

  /** Writes a candidate as a PEFT folder within the job's folder. */
  async writeCandidate({ adapter, ...record }: LadderCandidate, name: string): Promise<string> {
    const { spec, base } = this.#options;
    const { alpha, beta, groups } = record;
    const dir = join(spec.workDir, name);
    const manifest = {
      baseFingerprint: base.model.fingerprint,
      parent: spec.parent ?? null,
      strategy: record.strategy,
      coefficients: alpha === null || beta === null ? null : { alpha, beta, ...(groups && { groups }) },
      metrics: { [record.metric.name]: record.metric.value, steps: record.step },
      precision: base.precision.precision,
    };
    await saveAdapter(dir, adapter, { manifest, replace: true });
    return dir;
  }

  phase(phase: LadderPhase): void {
    this.#options.clock.enter(phase);
  }

  report(event: AdaptationEvent): void {
    if (event.type === 'candidate') this.#flushPoints();
    this.#options.listener.event(event);
  }

  async checkpoint(state: LadderState, best: LadderCandidate | null): Promise<void> {
    this.#ladder = state;
    this.#bestCandidate = best;
    this.#best = best !== null && best.step > 0 ? best.adapter : null;
    await this.save();
  }

  /** Saves where the job stands; nothing to save before the ladder's first checkpoint. */
  async save(): Promise<void> {
    if (!this.#ladder) return;
    const trainer = this.#trainer ? encodeTrainerState(this.#trainer) : null;
    const state: JobState = {
      ladder: this.#ladder,
      hasBest: this.#best !== null,
      ...(this.#best && { bestConfig: this.#best.config }),
      trainer: trainer?.state ?? null,
      training: this.#training,
      before: this.#before,
    };
    const tensors = new Map([...(trainer?.tensors ?? []), ...(this.#best ? encodeBest(this.#best) : [])]);
    await this.#options.checkpoints.save({ state, tensors });
    this.#noteSaved(this.#trainer?.optimizer.step ?? 0);
    this.#savedAt = performance.now();
  }

  #restore({ state, tensors }: Checkpoint): AdaptationContext['resume'] {
    const { ladder, hasBest, bestConfig, trainer, training, before } = state as JobState;
    const names = [...factorArrays(this.oldAdapter.modules).keys()];
    this.#training = training;
    this.#before = before;
    if (trainer !== null) this.#sum(decodeTrainerState({ state: trainer, tensors }, names));
    this.#ladder = ladder;
    this.#noteSaved(this.#trainer?.optimizer.step ?? 0);
    if (hasBest) this.#best = decodeBest(tensors, this.oldAdapter, bestConfig ?? this.oldAdapter.config);
    return { state: ladder, bestAdapter: this.#best };
  }

  #noteSaved(step: number): void {
    this.#savedSteps = [...this.#savedSteps, step].slice(-KEPT_CHECKPOINTS);
  }

  #note({ step, loss, learningRate, state }: StepReport): void {
    this.#sum(state);
    const at = this.step;
    this.#points.push(
      { name: 'train_loss', step: at, value: loss },
      { name: 'learning_rate', step: at, value: learningRate },
    );
    if (step % POINTS_EVERY === 0) this.#flushPoints();
  }

  #sum(state: TrainerState): void {
    this.#trainer = state;
    this.step = this.#before.steps + state.optimizer.step;
    this.tokens = this.#before.tokens + state.tokens;
    this.seconds = this.#before.seconds + state.seconds;
  }

  #flushPoints(): void {
    if (this.#points.length > 0) this.#options.listener.metrics(this.#points);
    this.#points = [];
  }
}
