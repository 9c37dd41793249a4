import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTaskRows, TaskDataError, tokenizeTask, type TaskData, type TaskRows } from '../data/task-data.ts';
import type { BaseCache, LoadedBase } from '../engine/base-cache.ts';
import { loadAdapter } from '../formats/peft/peft-adapter.ts';
import type { Evolution } from '../method/evolution/evolution.ts';
import { boundsMoving } from '../method/fusion/coefficients.ts';
import { needsOldVersion, resolveTarget, type Gate, type GateMeasurement } from '../method/gate/readiness-gate.ts';
import { toRecord } from '../method/ladder/candidate.ts';
import type { LadderOptions, LadderOutcome } from '../method/ladder/ladder-state.ts';
import { reportRungs, runStrategy, usesEvolution } from '../method/ladder/strategies.ts';
import { DEFAULT_REGULARIZATION } from '../method/regularization/regularization.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import { resolveJobOptions, type JobSettings } from '../options/job-settings.ts';
import { CheckpointStore } from '../training/checkpoint.ts';
import { TrainingDivergedError } from '../training/loss-monitor.ts';
import { evolutionBetween, readEvolution, requireCompatible } from './evolutions.ts';
import { fromOutcomes, toOutcomes } from './gate-outcomes.ts';
import { JobContext, rowFormatIn } from './job-context.ts';
import type { JobEvent, JobEventHandler, Publication } from './job-events.ts';
import type { Baselines, JobOutcome } from './job-outcome.ts';
import type { JobSpec } from './job-spec.ts';
import { Measurements } from './measurements.ts';
import { PhaseClock } from './phase-clock.ts';
import { rowFormatOf, type RowFormat } from './row-format.ts';
import { sliceValues } from './slices.ts';

/** The reason with which a signal aborts when a job is to stop. */
export class CancelledError extends Error {
  /** Whether somebody will resume the job from a checkpoint. */
  readonly keep: boolean;

  constructor({ keep }: { readonly keep: boolean }) {
    super('the job was cancelled');
    this.name = 'CancelledError';
    this.keep = keep;
  }
}

/**
 * Runs one job: loads what it needs, measures the target if it depends on the old version, runs the strategy's ladder,
 * and completes the baselines when nobody waits for the adapter any more. Resumes from the checkpoint in `workDir`, if
 * there is one.
 * @returns the outcome, also of a cancelled job, which leaves a checkpoint if its work is to be kept
 * @throws FormatError, DatasetError, IncompatibleBasesError and the like for input that cannot be used;
 *   TrainingDivergedError if training diverged before any candidate was judged
 */
export async function runAdaptation(
  bases: BaseCache,
  spec: JobSpec,
  onEvent: JobEventHandler,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const job = new AdaptationRun(bases, spec, onEvent, signal);
  try {
    return await job.run();
  } catch (error) {
    if (!(signal.aborted && signal.reason instanceof CancelledError)) throw error;
    return job.cancelled(signal.reason);
  }
}

const NOT_MEASURED: Baselines = { old: null, none: null, copy: null };
const NO_SLICES: JobOutcome['slices'] = { old: {}, best: {} };

/** What a job has loaded before its ladder begins. */
interface Prepared {
  readonly context: JobContext;
  readonly measurements: Measurements;
  readonly data: TaskData;
  readonly settings: JobSettings;
  readonly oldBase: LoadedBase;
  readonly newBase: LoadedBase;
  readonly oldAdapter: Adapter;
}

/** How far the ladder came. */
interface LadderResult extends Pick<LadderOutcome, 'ready' | 'best' | 'candidates' | 'rungs'> {
  readonly problem?: JobOutcome['problem'];
}

/** One attempt at a job, from loading to the outcome. */
class AdaptationRun {
  readonly #bases: BaseCache;
  readonly #spec: JobSpec;
  readonly #onEvent: JobEventHandler;
  readonly #signal: AbortSignal;
  readonly #begun = performance.now();
  readonly #clock: PhaseClock;
  #prepared: Prepared | null = null;
  #baselines = NOT_MEASURED;
  #target: number | null = null;
  #rowFormat: RowFormat | null = null;
  readonly #warnings: string[] = [];
  #ready: Pick<JobOutcome, 'readyMs' | 'phases'> | null = null;
  #totalSteps = 0;

  constructor(bases: BaseCache, spec: JobSpec, onEvent: JobEventHandler, signal: AbortSignal) {
    this.#bases = bases;
    this.#spec = spec;
    this.#onEvent = onEvent;
    this.#signal = signal;
    this.#clock = new PhaseClock('prepare', (phase) => this.#emit({ type: 'phase', phase }));
  }

  async run(): Promise<JobOutcome> {
    const { metric, gate: rule, kind, baselines } = this.#spec;
    const prepared = await this.#prepare();
    this.#prepared = prepared;
    const gate: Gate = { metric, ...rule };
    const old = needsOldVersion(gate) ? await this.#measureOld(prepared) : null;
    this.#target = resolveTarget(gate, old && old.metric).value;
    this.#noteBaselines({});
    const result = await this.#runLadder(prepared, { gate, old });
    // A control publishes nothing, and a resumed job may have published before: both are ready because the ladder is.
    if (result.ready) this.#markReady();
    const phases = this.#ready?.phases ?? this.#clock.phases();
    if (kind === 'adaptation' && baselines !== 'needed') await this.#completeBaselines(prepared, result);
    const { ready, best, rungs, problem } = result;
    const { gate: rows } = prepared.data;
    const isKept = !ready && best !== null && kind === 'adaptation';
    return {
      ...this.#figures(),
      state: ready ? 'ready' : 'not_ready',
      best: best && toRecord(best),
      slices: { old: old ? sliceValues(rows, old) : {}, best: best ? sliceValues(rows, best) : {} },
      ladder: rungs,
      phases,
      problem,
      candidateFolder: isKept ? await prepared.context.writeCandidate(best, 'best-candidate') : null,
    };
  }

  async cancelled({ keep }: CancelledError): Promise<JobOutcome> {
    const { context, settings } = this.#prepared ?? {};
    if (keep) await context?.save();
    const reached = context?.reached;
    return {
      ...this.#figures(),
      state: 'cancelled',
      best: reached?.best ? toRecord(reached.best) : null,
      slices: NO_SLICES,
      ladder: reached ? reportRungs(reached.state, settings?.prefer) : [],
      phases: this.#ready?.phases ?? this.#clock.phases(),
      candidateFolder: null,
    };
  }

  async #prepare(): Promise<Prepared> {
    const spec = this.#spec;
    await mkdir(spec.workDir, { recursive: true });
    const newBase = await this.#bases.load(spec.newBase);
    const { config } = newBase.model;
    const settings = resolveJobOptions(spec.options, {
      control: spec.kind === 'control',
      hiddenSize: config.hiddenSize,
    });
    this.#totalSteps = settings.strategy === 'reuse' || settings.strategy === 'revert' ? 0 : settings.maxSteps;
    const oldBase = await this.#bases.load(spec.oldBase);
    await requireCompatible(oldBase, newBase);
    const oldAdapter = await loadAdapter(spec.adapter, config);
    const checkpoints = new CheckpointStore(join(spec.workDir, 'checkpoints'));
    const resumed = await checkpoints.latest();
    const rows = await loadTaskRows(spec.data);
    const rowFormat = rowFormatIn(resumed) ?? (await this.#decideRowFormat(oldBase, oldAdapter, rows));
    this.#rowFormat = rowFormat;
    this.#emit({ type: 'row_format', format: rowFormat });
    const data = tokenizeTask(rows, { tokenizer: newBase.tokenizer, config, ...rowFormat }, (message) =>
      this.#emit({ type: 'warning', message }),
    );
    requireSuitable(data, spec, settings);
    const evolution = usesEvolution(settings.strategy) ? await this.#evolution(oldBase, newBase) : null;
    const signal = this.#signal;
    signal.throwIfAborted();
    const { searchRows, maxNewTokens } = settings;
    const measurements = new Measurements({ data, metric: spec.metric, searchRows, maxNewTokens, signal });
    const context = new JobContext({
      spec,
      settings,
      base: newBase,
      oldAdapter,
      evolution,
      data,
      measurements,
      rowFormat,
      checkpoints,
      resumed,
      signal,
      enterPhase: (phase) => this.#clock.enter(phase),
      emit: (event) => this.#emit(event),
      publish: (publication) => this.#publish(publication),
    });
    return { context, measurements, data, settings, oldBase, newBase, oldAdapter };
  }

  #decideRowFormat(base: LoadedBase, adapter: Adapter, { search, gate }: TaskRows): Promise<RowFormat> {
    const { adapterOptions: given = {}, adapter: folder } = this.#spec;
    return rowFormatOf({ given, folder, adapter, base, rows: [...search, ...gate], signal: this.#signal });
  }

  async #evolution(oldBase: LoadedBase, newBase: LoadedBase): Promise<Evolution> {
    if (this.#spec.evolution !== null) return readEvolution(this.#spec.evolution);
    this.#clock.enter('evolution');
    const evolution = await evolutionBetween(oldBase, newBase, { signal: this.#signal });
    this.#clock.enter('prepare');
    return evolution;
  }

  /** Runs the strategy. Training that diverges ends it where it stands, and the candidates judged before still count. */
  async #runLadder(
    { context, settings }: Prepared,
    judged: Pick<LadderOptions, 'gate' | 'old'>,
  ): Promise<LadderResult> {
    try {
      return await runStrategy(settings.strategy, context, {
        ...judged,
        ...ladderOptions(settings),
        ...(this.#spec.kind === 'control' && { refineSteps: 0 }),
      });
    } catch (error) {
      const { reached } = context;
      if (!(error instanceof TrainingDivergedError) || !reached?.best) throw error;
      this.#emit({ type: 'warning', message: error.message });
      const { publishedId, candidates } = reached.state;
      const rungs = reportRungs(reached.state, settings.prefer);
      const problem = { code: error.code, message: error.message };
      return { ready: publishedId !== null, best: reached.best, candidates, rungs, problem };
    }
  }

  /** Measures the old adapter on the old base, unless its stored outcomes say how it did. */
  async #measureOld({ measurements, oldBase, oldAdapter }: Prepared): Promise<GateMeasurement> {
    const subject = measurements.gateSubject(oldBase);
    const stored = this.#spec.oldOutcomes ? fromOutcomes(this.#spec.oldOutcomes, subject) : null;
    const old = stored ?? (await measurements.onGate(oldBase, oldAdapter));
    if (!stored && Number.isFinite(old.metric.value)) {
      this.#emit({ type: 'old_measured', outcomes: toOutcomes(old, subject) });
    }
    this.#noteBaselines({ old: old.metric.value });
    return old;
  }

  /** Measures what only the report needs. */
  async #completeBaselines(prepared: Prepared, { candidates }: LadderResult): Promise<void> {
    if (this.#signal.aborted) return;
    const { measurements, newBase, oldAdapter } = prepared;
    const valueOf = async (adapter: Adapter | null) => (await measurements.onGate(newBase, adapter)).metric.value;
    const copy = candidates.find(({ id }) => id === 'copy')?.metric.value;
    this.#noteBaselines({ copy: copy ?? (await valueOf(oldAdapter)) });
    this.#noteBaselines({ none: await valueOf(null) });
    if (this.#baselines.old === null) await this.#measureOld(prepared);
  }

  #noteBaselines(found: Partial<Baselines>): void {
    this.#baselines = { ...this.#baselines, ...found };
    this.#emit({ type: 'baselines', target: this.#target, baselines: this.#baselines });
  }

  async #publish(publication: Publication): Promise<void> {
    await this.#onEvent(publication);
    this.#markReady();
  }

  #emit(event: Exclude<JobEvent, Publication>): void {
    if (event.type === 'progress') this.#totalSteps = event.totalSteps;
    if (event.type === 'warning') this.#warnings.push(event.message);
    void this.#onEvent(event);
  }

  #markReady(): void {
    this.#ready ??= { readyMs: performance.now() - this.#begun, phases: this.#clock.phases() };
  }

  #figures() {
    const { context } = this.#prepared ?? {};
    const { steps = 0, tokens = 0, seconds = 0 } = context?.training.totals ?? {};
    return {
      target: this.#target,
      baselines: this.#baselines,
      rowFormat: this.#rowFormat,
      warnings: this.#warnings,
      rows: context?.rows ?? ('training' as const),
      steps,
      totalSteps: this.#totalSteps,
      readyMs: this.#ready?.readyMs ?? null,
      tokens,
      tokensPerSecond: seconds > 0 ? tokens / seconds : 0,
    };
  }
}

/** @throws TaskDataError if the task's rows do not suit its metric or its strategy */
function requireSuitable({ choices, canTrain }: TaskData, { metric }: JobSpec, { strategy }: JobSettings): void {
  if (metric === 'accuracy' && !choices) {
    throw new TaskDataError('metric accuracy needs a task with 2 to 20 distinct completions; this one has others');
  }
  if (strategy === 'scratch' && !canTrain) {
    throw new TaskDataError('strategy scratch needs training rows; the task shares none');
  }
}

function ladderOptions(settings: JobSettings): Omit<LadderOptions, 'gate' | 'old'> {
  const { maxSteps, evaluateEvery, refineSteps, patience, prefer, grouping, fusionRank } = settings;
  return {
    steps: maxSteps,
    evaluateEvery,
    refineSteps,
    patience,
    prefer,
    grouping,
    search: {
      evaluations: settings.searchEvaluations,
      batchSize: settings.batchSize,
      ...boundsMoving(settings.coefficients),
    },
    fusion: { rank: fusionRank === 0 ? 'keep' : { cap: fusionRank, energy: settings.fusionEnergy } },
    regularization: {
      ...DEFAULT_REGULARIZATION,
      schedule: settings.regularizeSchedule,
      strong: settings.regularizeStrength,
      space: settings.regularizeSpace,
      towards: settings.regularizeTowards,
    },
  };
}
