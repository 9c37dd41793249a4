import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { answerSizes } from '../data/evaluation/generated-answers.ts';
import { loadGivenTask, tokenizeTask } from '../data/task-data.ts';
import type { BaseCache, LoadedBase } from '../engine/base-cache.ts';
import { withOnnxProducts } from '../engine/compiled/onnx-products.ts';
import { loadAdapter } from '../formats/peft/peft-adapter.ts';
import type { MatrixProducts } from '../linalg/products.ts';
import { COPY } from '../method/fusion/coefficients.ts';
import type { Evolution } from '../method/evolution/evolution.ts';
import { resolveTarget, type Gate } from '../method/gate/readiness-gate.ts';
import { toRecord } from '../method/ladder/candidate.ts';
import { reportRungs, usesEvolution } from '../method/ladder/strategies.ts';
import type { ModelConfig } from '../models/config/model-config.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import { resolveJobOptions } from '../options/job-settings.ts';
import { isGenerated } from '../options/metrics.ts';
import type { Precision } from '../options/precisions.ts';
import { CheckpointStore } from '../training/checkpoint.ts';
import { completeOnNewBase, NO_BASELINES, type Baselines } from './baselines.ts';
import { distillationOf, rowsAfter } from './distillation/distillation.ts';
import { evolutionBetween, readEvolution, requireCompatible, requireFingerprint } from './evolutions.ts';
import type { CountedFrom } from './measurements/gate-outcomes.ts';
import { measureForGate } from './measurements/exact-gate.ts';
import { GateBreakdown, NO_BREAKDOWN } from './measurements/gate-breakdown.ts';
import { knownOutcomes } from './measurements/old-version.ts';
import { ReferenceVersion, type MeasuredVersion, type ReferenceOptions } from './measurements/reference-version.ts';
import { answersIn, JobContext, precisionOf, rowFormatIn } from './job-context.ts';
import type { JobEvent, JobEventHandler, Publication } from './job-events.ts';
import type { JobOutcome } from './job-outcome.ts';
import { GradientPrecision } from './setup/gradient-precision.ts';
import { objectionToLosses } from './setup/job-precision.ts';
import type { JobSpec } from './job-spec.ts';
import { Measurements } from './measurements/measurements.ts';
import { settingsForPrompts } from './prompts/answer-prompts.ts';
import { withAnswers, type TaskWithAnswers } from './prompts/task-answers.ts';
import { precisionLike } from './prompts/writer.ts';
import { runLadder } from './run-ladder.ts';
import { isTrained, requireSuitable, rowBudget, trainedSizes } from './setup/job-setup.ts';
import { NewBase } from './setup/new-base.ts';
import type { LoadedJob, Prepared } from './setup/prepared-job.ts';
import { jobMemory, requireMemory, rowSizes, type MemoryNeeds } from './setup/memory-plan.ts';
import { usableCheckpoint, withSameAnswers } from './setup/resumed-job.ts';
import { PhaseClock, totalMs } from './phase-clock.ts';
import { maxLengthIn, rowFormatOf, type RowFormat, type RowFormatOptions } from './setup/row-format.ts';

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
 * and completes the baselines, unless they are left for later. Resumes from the checkpoint in `workDir`, if there is
 * one.
 * @returns the outcome, also of a cancelled job, which leaves a checkpoint if its work is to be kept
 * @throws FormatError, DatasetError, IncompatibleBasesError and the like for input that cannot be used;
 * TrainingDivergedError if training diverged before any candidate was judged
 */
export async function runAdaptation(
  bases: BaseCache,
  spec: JobSpec,
  onEvent: JobEventHandler,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const job = new AdaptationRun(bases, spec, onEvent, signal);
  try {
    return await withOnnxProducts((products) => job.run(products));
  } catch (error) {
    if (!(signal.aborted && signal.reason instanceof CancelledError)) throw error;
    return job.cancelled(signal.reason);
  }
}

/** One attempt at a job, from loading to the outcome. */
class AdaptationRun {
  readonly #bases: BaseCache;
  readonly #spec: JobSpec;
  readonly #onEvent: JobEventHandler;
  readonly #signal: AbortSignal;
  readonly #clock: PhaseClock;
  #prepared: Prepared | null = null;
  #baselines = NO_BASELINES;
  #oldKnown = false;
  #anchor: CountedFrom | null = null;
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

  async run(products: MatrixProducts): Promise<JobOutcome> {
    const { metric, gate: rule, kind, baselines, measuresOld } = this.#spec;
    const prepared = await this.#prepare(products);
    this.#prepared = prepared;
    const gate: Gate = { metric, ...rule, sliceRows: prepared.breakdown.sliceRows };
    const { reference, newBase } = prepared;
    const compared = prepared.compared ?? (reference.isCompared ? await reference.onGate(newBase) : null);
    const old = reference.isAnchor ? reference.knownOld(newBase.loaded) : compared;
    this.#noteAnchor(compared && reference.countedFrom(compared));
    this.#target = resolveTarget(gate, compared && compared.metric).value;
    prepared.breakdown.compareWith({ reference: compared, old });
    this.#noteBaselines({});
    const { context, settings } = prepared;
    const judged = { gate, old: compared, ...(kind === 'control' && { refineSteps: 0 }) };
    const result = await runLadder(context, settings, judged);
    // A control publishes nothing, and a resumed job may have published before: both are ready because the ladder is.
    if (result.ready) this.#markReady();
    const phases = this.#ready?.phases ?? this.#clock.phases();
    const { ready, best, rungs, problem, candidates } = result;
    const publishedId = ready ? (best?.id ?? null) : null;
    this.#emit({ type: 'ladder', ladder: { current: null, rungs, candidates, publishedId, ended: true } });
    const copy = candidates.find(({ step, alpha, beta }) => step === 0 && alpha === COPY.alpha && beta === COPY.beta);
    if (copy && !copy.metric.curtailed) this.#noteBaselines({ copy: copy.metric.value });
    // The answers to prompts alone go with the job's folder, so that nothing can be measured on them later.
    const isLast = baselines !== 'needed' || prepared.hasWritten;
    if (kind === 'adaptation' && isLast) await this.#completeBaselines(prepared);
    else if (ready && measuresOld !== undefined) await this.#completeOld(prepared);
    const isKept = !ready && best !== null && kind === 'adaptation';
    return {
      ...this.#figures(),
      state: ready ? 'ready' : 'not_ready',
      best: best && toRecord(best),
      ...prepared.breakdown.of(best),
      ladder: rungs,
      phases,
      problem,
      candidateFolder: isKept ? await context.writeCandidate(best, 'best-candidate') : null,
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
      ...NO_BREAKDOWN,
      ladder: reached ? reportRungs(reached.state, settings?.prefer) : [],
      phases: this.#ready?.phases ?? this.#clock.phases(),
      candidateFolder: null,
    };
  }

  async #prepare(products: MatrixProducts): Promise<Prepared> {
    const spec = this.#spec;
    await mkdir(spec.workDir, { recursive: true });
    const checkpoints = new CheckpointStore(join(spec.workDir, 'checkpoints'));
    const signal = this.#signal;
    const warn = (message: string): void => this.#emit({ type: 'warning', message });
    const latest = usableCheckpoint(await checkpoints.latest(), this.#bases, warn);
    const [oldVersion, newVersion] = [
      await this.#bases.describe(spec.oldBase),
      await this.#bases.describe(spec.newBase),
    ];
    const { config, tokenizer } = newVersion;
    const given = await loadGivenTask(spec.data);
    const { promptsOnly } = given;
    const circumstances = { control: spec.kind === 'control', hiddenSize: config.hiddenSize };
    const maxLength = rowFormatIn(latest)?.maxLength ?? (await maxLengthIn(this.#asked(config)));
    const asked = resolveJobOptions(spec.options, circumstances);
    const settings = promptsOnly ? settingsForPrompts(asked, { config, maxLength }) : asked;
    this.#totalSteps = isTrained(settings) ? settings.maxSteps : 0;
    await requireCompatible(oldVersion, newVersion);
    const oldAdapter = await loadAdapter(spec.adapter, config);
    const kept = (latest && precisionOf(latest)) ?? undefined;
    const precision = kept ?? this.#bases.precision;
    const needs = { config, precision, adapter: oldAdapter, evolution: usesEvolution(settings.strategy) };
    this.#planMemory({ ...needs, measured: [], trained: [] });
    const { rows, written } = await withAnswers(given, {
      bases: this.#bases,
      spec,
      settings,
      oldAdapter,
      config,
      format: { tokenizer, config, maxLength },
      before: answersIn(latest),
      reserve: (generated) => {
        const measured = [{ tokens: generated.longest, labels: 1 }];
        this.#planMemory({ ...needs, measured, trained: [], generated });
      },
      warn,
      signal,
    });
    const answers = written && written.record;
    const resumed = withSameAnswers(latest, answers, warn);
    const rowFormat = rowFormatIn(resumed) ?? (await this.#decideRowFormat(config, oldAdapter, { rows, written }));
    this.#rowFormat = rowFormat;
    this.#emit({ type: 'row_format', format: rowFormat });
    const format = { tokenizer, config, ...rowFormat };
    const budget = rowBudget(spec, settings.maxNewTokens);
    const data = tokenizeTask(rows, { ...format, budget }, warn);
    requireSuitable(data, spec, settings);
    const breakdown = new GateBreakdown(data.gate, spec.gate);
    const measured = rowSizes([...data.search, ...data.gate]);
    const distillation = distillationOf({ spec, settings, data, teacher: written && written.writer, signal });
    const generated = isGenerated(spec.metric) ? answerSizes(data.gate, settings.maxNewTokens) : null;
    const trained = [...trainedSizes(rows, settings, { format, measured }), ...(distillation?.trained ?? [])];
    this.#planMemory({ ...needs, measured, generated, trained });
    const evolution = needs.evolution ? await this.#evolution(oldVersion.folder, newVersion.folder, products) : null;
    const { searchRows, maxNewTokens } = settings;
    const measurements = new Measurements({ data, metric: spec.metric, searchRows, maxNewTokens, signal });
    const exact = { bases: this.#bases, measurements, gate: { metric: spec.metric, ...spec.gate } };
    const fingerprint = async () => evolution?.oldFingerprint ?? requireFingerprint(oldVersion.folder, this.#bases);
    const knownOld = await knownOutcomes(spec, oldAdapter, fingerprint);
    const writer = written?.writer.version;
    const reference = this.#reference({ exact, oldAdapter, knownOld, newVersion, writer });
    // Where a version has written answers, they are compared with others in their precision.
    const like = written ? precisionLike(written.writer, this.#bases, config) : undefined;
    signal.throwIfAborted();
    const { newBase, compared: found } = await this.#loadNewBase({ data, oldAdapter, reference }, kept ?? like);
    signal.throwIfAborted();
    const gradients = new GradientPrecision({ bases: this.#bases, newBase, rows: data.search, warn });
    const context = new JobContext({
      spec,
      settings,
      newBase,
      gradients,
      oldAdapter,
      evolution,
      products,
      canTrain: data.canTrain,
      trainingRows: (step) => newBase.makeRoomFor(() => rowsAfter(step, { data, distillation })),
      measurements,
      breakdown,
      measureForGate: (adapter, look) => measureForGate(exact, { base: newBase.loaded, adapter }, look),
      rowFormat,
      answers,
      checkpoints,
      resumed,
      signal,
      enterPhase: (phase) => this.#clock.enter(phase),
      emit: (event) => this.#emit(event),
      publish: (publication) => this.#publish(publication),
    });
    const compared = { reference, compared: found?.measured ?? null };
    const hasWritten = written !== null;
    return { context, measurements, exact, data, breakdown, settings, hasWritten, newBase, oldAdapter, ...compared };
  }

  #reference(
    found: Pick<ReferenceOptions, 'exact' | 'oldAdapter' | 'knownOld' | 'newVersion' | 'writer'>,
  ): ReferenceVersion {
    return new ReferenceVersion({
      ...found,
      bases: this.#bases,
      spec: this.#spec,
      emit: (event) => this.#emit(event),
      noteOld: (old) => this.#noteBaselines({ old }),
    });
  }

  /**
   * Loads the new base and, where the target depends on it and that is not known, measures the reference on its base
   * before, so that this base can make room for the new one. Both are computed in the same precision: in float32 where
   * what is chosen for them differs, or where rows of the task refuse int8, if there is memory for that.
   * @param precision default: what is chosen for each base
   */
  async #loadNewBase(
    job: LoadedJob,
    precision?: Precision,
  ): Promise<{ newBase: NewBase; compared: MeasuredVersion | null }> {
    const compared = job.reference.isUnknown() ? await job.reference.measure(precision) : null;
    const loaded = await this.#bases.load(this.#spec.newBase, precision);
    const newBase = new NewBase(this.#bases, loaded, precision);
    if (precision !== undefined) return { newBase, compared };
    const holdsFloat32 = this.#bases.memory.holdsFloat32(loaded.model.config);
    const differs = compared !== null && compared.precision !== newBase.precision;
    if (differs) return this.#loadNewBase(job, holdsFloat32 ? 'f32' : 'int8');
    const refused = await this.#refusesInt8(loaded, job, holdsFloat32);
    return refused ? this.#loadNewBase(job, 'f32') : { newBase, compared };
  }

  /**
   * Lets rows of the task confirm or refuse int8. Where it was asked for, or no memory is left for float32, they only
   * warn.
   */
  async #refusesInt8(base: LoadedBase, { oldAdapter, data }: LoadedJob, holdsFloat32: boolean): Promise<boolean> {
    const objection = await objectionToLosses({ bases: this.#bases, base, adapter: oldAdapter, rows: data.search });
    if (objection === null) return false;
    const { chooses } = this.#bases;
    const consequence = holdsFloat32
      ? 'the job is computed in float32'
      : 'the job stays in int8, because float32 does not fit into the memory';
    const message = `on rows of this task, ${objection}`;
    this.#emit({ type: 'warning', message: chooses ? `${message}: ${consequence}` : message });
    return chooses && holdsFloat32;
  }

  #decideRowFormat(config: ModelConfig, adapter: Adapter, { rows, written }: TaskWithAnswers): Promise<RowFormat> {
    const loadBase = () => this.#bases.load(this.#spec.oldBase);
    const measured = { adapter, loadBase, rows: [...rows.search, ...rows.gate], written: written ?? undefined };
    return rowFormatOf({ ...this.#asked(config), ...measured, signal: this.#signal });
  }

  /** What decides the row format before anything is measured. */
  #asked(config: ModelConfig): Pick<RowFormatOptions, 'given' | 'folder' | 'config'> {
    const { adapterOptions: given = {}, adapter: folder } = this.#spec;
    return { given, folder, config };
  }

  /** @throws InsufficientMemoryError */
  #planMemory(needs: MemoryNeeds): void {
    const { memory } = this.#bases;
    memory.reserve(jobMemory(requireMemory(needs, memory.available), needs));
  }

  /** Bases are read for it but not loaded, and files that are read for the first time are verified on the way. */
  async #evolution(oldFolder: string, newFolder: string, products: MatrixProducts): Promise<Evolution> {
    if (this.#spec.evolution !== null) return readEvolution(this.#spec.evolution);
    this.#clock.enter('evolution');
    const options = { bases: this.#bases, products, signal: this.#signal };
    const evolution = await evolutionBetween(oldFolder, newFolder, options);
    this.#clock.enter('prepare');
    return evolution;
  }

  /** Measures what only the report needs. */
  async #completeBaselines(prepared: Prepared): Promise<void> {
    if (this.#signal.aborted) return;
    const { exact, newBase, oldAdapter: adapter } = prepared;
    this.#noteBaselines(await completeOnNewBase({ exact, newBase: newBase.loaded, adapter }, this.#baselines));
    await this.#completeOld(prepared);
  }

  async #completeOld({ newBase, reference }: Prepared): Promise<void> {
    if (this.#signal.aborted || this.#baselines.old !== null) return;
    await reference.old(newBase.loaded);
  }

  #noteAnchor(anchor: CountedFrom | null): void {
    this.#anchor = anchor;
    if (anchor) this.#emit({ type: 'anchor', anchor });
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
    if (event.type === 'old_known') this.#oldKnown = true;
    void this.#onEvent(event);
  }

  #markReady(): void {
    const phases = this.#clock.phases();
    this.#ready ??= { readyMs: totalMs(phases), phases };
  }

  #figures() {
    const { context } = this.#prepared ?? {};
    const { steps = 0, tokens = 0, seconds = 0 } = context?.training.totals ?? {};
    return {
      target: this.#target,
      baselines: this.#baselines,
      anchor: this.#anchor,
      oldKnown: this.#oldKnown,
      rowFormat: this.#rowFormat,
      precision: this.#prepared?.newBase.precision ?? null,
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
