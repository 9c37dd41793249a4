import { join } from 'node:path';
import type { LoadedBase } from '../engine/base-cache.ts';
import type { MatrixProducts } from '../linalg/products.ts';
import { saveAdapter } from '../formats/peft/peft-adapter-writer.ts';
import type { Evolution } from '../method/evolution/evolution.ts';
import type { GateLook, GateMeasurement, SearchMeasurement } from '../method/gate/readiness-gate.ts';
import type { Candidate, RungName } from '../method/ladder/candidate.ts';
import type { FineTuneRequest, LadderContext, LadderEvent, LadderPhase } from '../method/ladder/ladder-context.ts';
import type { LadderState } from '../method/ladder/ladder-state.ts';
import type { WatchRecord } from '../method/ladder/watch-log.ts';
import type { Adapter, LoraConfig } from '../models/lora/adapter.ts';
import type { Precision } from '../options/precisions.ts';
import { createAdapter } from '../models/lora/lora-init.ts';
import type { Checkpoint, CheckpointStore } from '../training/checkpoint.ts';
import { factorArrays } from '../training/optimizer/factors.ts';
import { decodeBest, encodeBest } from './best-adapter.ts';
import { toOutcomes, toRowOutcomes } from './measurements/gate-outcomes.ts';
import type { GateBreakdown } from './measurements/gate-breakdown.ts';
import type { JobEvent, Publication } from './job-events.ts';
import type { RowsUsed } from './job-outcome.ts';
import type { JobSpec } from './job-spec.ts';
import { JobTraining, type JobTrainingOptions, type TrainingState } from './job-training.ts';
import type { Measurements } from './measurements/measurements.ts';
import type { AnswersRecord } from './prompts/writer.ts';
import type { GradientPrecisions } from './setup/gradient-precision.ts';
import type { NewBase } from './setup/new-base.ts';
import type { RowFormat } from './setup/row-format.ts';

export interface JobContextOptions extends Omit<JobTrainingOptions, 'save'> {
  readonly newBase: NewBase;
  readonly spec: JobSpec;
  readonly canTrain: boolean;
  readonly oldAdapter: Adapter;
  readonly evolution: Evolution | null;
  /** Functions that multiply the large matrices when adapters are fused, possibly on the device. */
  readonly products: MatrixProducts;
  readonly measurements: Measurements;
  readonly breakdown: GateBreakdown;
  /** Measures an adapter on the gate rows of the new base. */
  measureForGate(adapter: Adapter, look: GateLook): Promise<GateMeasurement>;
  readonly rowFormat: RowFormat;
  /** Identity of the answers that a version has written to prompts alone; null if the rows came with answers. */
  readonly answers: AnswersRecord | null;
  readonly checkpoints: CheckpointStore;
  /** Checkpoint of an earlier attempt to resume from; null if the job begins anew. */
  readonly resumed: Checkpoint | null;
  enterPhase(phase: LadderPhase): void;
  /** Passes a candidate to the job's caller for publication, and waits until the candidate is stored durably. */
  publish(publication: Publication): Promise<void>;
  emit(event: Exclude<JobEvent, Publication>): void;
}

/** Number of the layout of {@link JobState}. A job whose checkpoint has another layout starts from the beginning. */
const STATE_VERSION = 2;

/** State of a job as its checkpoint stores it beside the tensors. Plain JSON. */
interface JobState {
  readonly version: number;
  /** Precision of both bases. The job keeps this precision on any machine on which it resumes. */
  readonly precision: Precision;
  /** Precisions of gradients that the job has chosen so far. A resumed job keeps them. */
  readonly gradients: GradientPrecisions;
  /**
   * Format in which the job's rows become tokens. A resumed job keeps it, because other labels would change its
   * training.
   */
  readonly rowFormat: RowFormat;
  /**
   * Identity of the answers that a version has written to prompts alone; null if the rows came with answers. A job that
   * resumes with other answers begins again.
   */
  readonly answers: AnswersRecord | null;
  readonly ladder: LadderState;
  /**
   * Configuration of the best candidate's adapter, whose ranks may be larger than the old adapter's; null if the
   * checkpoint has no tensors of that adapter.
   */
  readonly best: LoraConfig | null;
  readonly training: TrainingState;
}

/** Returns the precision in which a checkpoint's job has begun; null if the checkpoint has another layout. */
export function precisionOf({ state }: Checkpoint): Precision | null {
  const { version, precision } = state as JobState;
  return version === STATE_VERSION ? precision : null;
}

/**
 * Returns the row format that a checkpoint's job uses; null without a checkpoint, or if the checkpoint has another
 * layout.
 */
export function rowFormatIn(checkpoint: Checkpoint | null): RowFormat | null {
  const state = checkpoint?.state as JobState | undefined;
  return state?.version === STATE_VERSION ? state.rowFormat : null;
}

/**
 * Returns the identity of the answers that a version has written for a checkpoint's job. Null without a checkpoint, if
 * the checkpoint has another layout, or if the rows came with answers.
 */
export function answersIn(checkpoint: Checkpoint | null): AnswersRecord | null {
  const state = checkpoint?.state as JobState | undefined;
  return (state?.version === STATE_VERSION ? state.answers : null) ?? null;
}

/** Connects a ladder with the runtime, the task's rows, the job's folder and the receiver of its events. */
export class JobContext implements LadderContext {
  readonly oldAdapter: Adapter;
  readonly evolution: Evolution | null;
  readonly products: MatrixProducts;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly canTrain: boolean;
  readonly resume: LadderContext['resume'];
  readonly training: JobTraining;
  readonly #options: JobContextOptions;
  #ladder: LadderState | null = null;
  #best: Candidate | null = null;
  /**
   * Adapter of the best candidate if that candidate was trained. Null without a best candidate, and for an untrained
   * one, whose adapter can be fused again.
   */
  #bestAdapter: Adapter | null = null;
  #publications = 0;

  constructor(options: JobContextOptions) {
    this.#options = options;
    this.oldAdapter = options.oldAdapter;
    this.evolution = options.evolution;
    this.products = options.products;
    this.seed = options.settings.seed;
    this.signal = options.signal;
    this.canTrain = options.canTrain;
    this.training = new JobTraining({ ...options, save: () => this.save() });
    if (options.resumed) this.resume = this.#restore(options.resumed);
  }

  get rows(): RowsUsed {
    return this.canTrain ? 'training' : 'validation_only';
  }

  /** State of the ladder and its best candidate at the last checkpoint; null before the first checkpoint. */
  get reached(): { readonly state: LadderState; readonly best: Candidate | null } | null {
    return this.#ladder && { state: this.#ladder, best: this.#best };
  }

  get searchRows(): number {
    return this.#options.measurements.searchRows;
  }

  searchLoss(adapter: Adapter): Promise<number> {
    return this.#options.measurements.searchLoss(this.#base, adapter);
  }

  searchMetric(adapter: Adapter): Promise<SearchMeasurement> {
    return this.#options.measurements.onSearch(this.#base, adapter);
  }

  gateMetric(adapter: Adapter, look: GateLook): Promise<GateMeasurement> {
    return this.#options.measureForGate(adapter, look);
  }

  createFresh(seed: number): Adapter {
    const { config: base, weights } = this.#base.model;
    return createAdapter({ ...this.oldAdapter.config, base, weights, seed });
  }

  fineTune(request: FineTuneRequest): Promise<void> {
    return this.training.fineTune(request);
  }

  async publish(candidate: Candidate): Promise<void> {
    const { spec, breakdown, measurements, publish } = this.#options;
    if (spec.kind === 'control') return;
    const number = ++this.#publications;
    const folder = await this.writeCandidate(candidate, `candidate-${number}`);
    const outcomes = toOutcomes(candidate, measurements.gateSubject(this.#base, this.#judgedIn(candidate)));
    const { adapter: _, outcomes: __, ...record } = candidate;
    const [slices, flips] = [breakdown.slicesOf(candidate), breakdown.flipsOf(candidate)];
    await publish({ type: 'publication', number, folder, candidate: record, rows: this.rows, outcomes, slices, flips });
  }

  /** Writes a candidate as a PEFT folder within the job's folder, and returns the path of that folder. */
  async writeCandidate({ adapter, outcomes, ...record }: Candidate, name: string): Promise<string> {
    const { spec, rowFormat, measurements } = this.#options;
    const { alpha, beta } = record;
    const folder = join(spec.workDir, name);
    const manifest = {
      baseFingerprint: this.#base.model.fingerprint,
      parent: spec.parent ?? null,
      strategy: record.strategy,
      coefficients: alpha === null || beta === null ? null : { alpha, beta },
      metrics: { [record.metric.name]: record.metric.value, steps: record.step },
      precision: this.#precisionOf(record),
      judgedIn: this.#judgedIn(record),
      appendEos: rowFormat.appendEos,
      maxLength: rowFormat.maxLength,
    };
    const baseModelName = spec.newBaseName ?? spec.newBase;
    const subject = measurements.gateSubject(this.#base, this.#judgedIn(record));
    const rows = toRowOutcomes(outcomes.values, subject);
    await saveAdapter(folder, adapter, { baseModelName, manifest, outcomes: rows, replace: true });
    return folder;
  }

  phase(phase: LadderPhase): void {
    this.#options.enterPhase(phase);
  }

  report(event: LadderEvent): void {
    if (event.type === 'candidate' || event.type === 'watched') this.training.flushPoints();
    this.#options.emit(event);
  }

  async checkpoint(state: LadderState, best: Candidate | null): Promise<void> {
    this.#ladder = state;
    this.#best = best;
    this.#bestAdapter = best !== null && best.step > 0 ? best.adapter : null;
    await this.save();
  }

  /** Saves a checkpoint of the job. Before the ladder has reported a state, there is nothing to save. */
  async save(): Promise<void> {
    if (!this.#ladder) return;
    const best = this.#bestAdapter;
    const { state: training, tensors } = this.training.encode();
    const precision = this.#precision;
    const { rowFormat, answers } = this.#options;
    const state: JobState = {
      version: STATE_VERSION,
      precision,
      gradients: this.#options.gradients.decided,
      rowFormat,
      answers,
      ladder: this.#ladder,
      best: best && best.config,
      training,
    };
    await this.#options.checkpoints.save({
      state,
      tensors: new Map([...tensors, ...(best ? encodeBest(best) : [])]),
    });
    this.training.noteSaved();
  }

  /**
   * Returns the precision in which a candidate was made: that of its gradients if it was trained, otherwise that of the
   * bases.
   */
  #precisionOf({ step, strategy }: Pick<Candidate, 'step' | 'strategy'>): Precision {
    const { decided } = this.#options.gradients;
    return (step > 0 ? decided[strategy === 'scratch' ? 'fresh' : 'carried'] : undefined) ?? this.#precision;
  }

  #judgedIn({ judgedIn }: Pick<Candidate, 'judgedIn'>): Precision {
    return judgedIn ?? this.#precision;
  }

  get #precision(): Precision {
    return this.#options.newBase.precision;
  }

  get #base(): LoadedBase {
    return this.#options.newBase.loaded;
  }

  #restore({ state, tensors }: Checkpoint): LadderContext['resume'] {
    const { version, ladder, best, training, gradients } = state as JobState;
    if (version !== STATE_VERSION) return undefined;
    this.#options.gradients.restore(gradients);
    this.training.restore(training, tensors, [...factorArrays(this.oldAdapter.modules).keys()]);
    this.#ladder = ladder;
    if (best !== null) this.#bestAdapter = decodeBest(tensors, this.oldAdapter, best);
    const { searchHistory: searches, candidates, watched } = ladder;
    this.#options.emit({
      type: 'resumed',
      points: this.training.points,
      searches,
      candidates: candidates.map((candidate) => ({ candidate, trained: trainedSteps(candidate, watched) })),
      watched: watched.map((record) => ({ watched: record, trained: trainedSteps(record, watched) })),
    });
    return { state: ladder, bestAdapter: this.#bestAdapter };
  }
}

/**
 * Returns the number of training steps that the job had done when an adapter was measured, on the adapter's own rung of
 * the ladder and on earlier rungs; 0 for an untrained adapter.
 */
function trainedSteps({ rung, step }: Pick<WatchRecord, 'rung' | 'step'>, watched: readonly WatchRecord[]): number {
  const trained = new Map<RungName, number>();
  for (const record of watched) {
    if (record.rung === rung && record.step > 0) break;
    trained.set(record.rung, record.step);
  }
  return step === 0 ? 0 : [...trained.values()].reduce((sum, steps) => sum + steps, step);
}
