import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { loadAdapter } from '../formats/peft/peft-adapter.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import type { LadderOptions, LadderOutcome } from '../method/ladder/adaptation.ts';
import type { Evolution } from '../method/evolution/evolution.ts';
import {
  needsOldVersion,
  resolveTarget,
  type Gate,
  type GateMeasurement,
  type GateTarget,
} from '../method/gate/readiness-gate.ts';
import { reportRungs, runStrategy } from '../method/ladder/strategies.ts';
import { CheckpointStore } from '../training/checkpoint.ts';
import { evolutionBetween, readEvolution, requireCompatible } from './evolve.ts';
import { fromOutcomes, toOutcomes } from './gate-outcomes.ts';
import { JobContext } from './job-context.ts';
import { toCandidate, toRung, type JobListener } from './job-listener.ts';
import { fusionOf, regularizationOf, resolveOptions, type AdaptationSettings } from './job-options.ts';
import { TrainingDivergedError } from '../training/loss-monitor.ts';
import { PhaseClock } from './phase-clock.ts';
import type { AdaptOutcome, Baselines, JobSpec, Strategy } from '../../workers/training/protocol.ts';
import type { Phase } from '../options/phases.ts';
import type { LoadedBase, BaseCache } from '../engine/base-cache.ts';
import { loadTaskData, TaskDataError, type TaskData } from '../data/task-data.ts';

/** The reason a signal is aborted with when a job is to stop. */
export class CancelledError extends Error {
  /** Whether somebody will go on from a checkpoint. */
  readonly keep: boolean;

  constructor({ keep }: { readonly keep: boolean }) {
    super('the job was cancelled');
    this.name = 'CancelledError';
    this.keep = keep;
  }
}

/**
 * Runs one job: loads what it needs, measures the target where it depends on the old version, climbs the strategy's
 * ladder, and completes the baselines once that no longer delays anybody. A checkpoint in `workDir` is gone on from.
 * @returns also for a cancelled job, which leaves a checkpoint if its work is to be kept
 * @throws FormatError, DatasetError, IncompatibleBasesError and the like for input that cannot be used;
 *   TrainingDivergedError where no candidate had been judged before
 */
export async function runAdaptation(
  bases: BaseCache,
  spec: JobSpec,
  listener: JobListener,
  signal: AbortSignal,
): Promise<AdaptOutcome> {
  const job = new Job(bases, spec, listener, signal);
  try {
    return await job.run();
  } catch (error) {
    if (!(signal.aborted && signal.reason instanceof CancelledError)) throw error;
    return job.cancelled(signal.reason);
  }
}

const NOT_MEASURED: Baselines = { old_on_v1: null, v2_no_adapter: null, v2_copy: null };

/** The strategies that fuse the adapter with what changed in the base. */
const USES_EVOLUTION: ReadonlySet<Strategy> = new Set(['auto', 'revert', 'relora', 'relora-paper']);

/** One run of a job from prepare to outcome. */
class Job {
  readonly #bases: BaseCache;
  readonly #spec: JobSpec;
  readonly #listener: JobListener;
  readonly #signal: AbortSignal;
  readonly #begun = performance.now();
  readonly #clock: PhaseClock;
  #context: JobContext | null = null;
  #baselines = NOT_MEASURED;
  #target: number | null = null;
  #ready: { readonly ms: number; readonly phases: Record<Phase, number> } | null = null;
  #settings: AdaptationSettings | null = null;
  #totalSteps = 0;

  constructor(bases: BaseCache, spec: JobSpec, listener: JobListener, signal: AbortSignal) {
    this.#bases = bases;
    this.#spec = spec;
    this.#listener = this.#observing(listener);
    this.#signal = signal;
    this.#clock = new PhaseClock('prepare', (phase) => listener.phase(phase));
  }

  async run(): Promise<AdaptOutcome> {
    const spec = this.#spec;
    const prepared = await this.#prepare();
    const { context, settings } = prepared;
    this.#context = context;
    const gate: Gate = { metric: spec.metric, ...spec.gate };
    const old = needsOldVersion(gate) ? await this.#measureOld(prepared) : null;
    this.#setTarget(resolveTarget(gate, old && old.metric));
    const outcome = await this.#climb(prepared, {
      gate,
      old,
      steps: settings.maxSteps,
      evaluateEvery: settings.evaluateEvery,
      refineSteps: spec.kind === 'control' ? 0 : settings.refineSteps,
      patience: settings.patience,
      prefer: settings.prefer,
      ...fusionOf(settings),
      regularization: regularizationOf(settings),
    });
    // A control publishes nothing, and a resumed run may have published before: both are ready by the ladder's word.
    if (outcome.ready) this.#markReady();
    const atEnd = { ms: performance.now() - this.#begun, phases: this.#clock.phases() };
    if (spec.kind === 'adaptation' && spec.baselines !== 'needed') await this.#completeBaselines(prepared, outcome);
    return this.#outcome(outcome, this.#ready?.phases ?? atEnd.phases);
  }

  /** Training that diverges ends the ladder where it stands: what the gate has judged before counts. */
  async #climb({ context, settings }: Prepared, options: LadderOptions): Promise<Climb> {
    try {
      return await runStrategy(settings.strategy, context, options);
    } catch (error) {
      const { reached } = context;
      if (!(error instanceof TrainingDivergedError) || !reached?.best) throw error;
      this.#listener.event({ type: 'warning', message: error.message });
      const { publishedId, candidates } = reached.state;
      const problem = { code: error.code, message: error.message };
      const rungs = reportRungs(reached.state, settings.prefer);
      return { ready: publishedId !== null, best: reached.best, candidates, rungs, problem };
    }
  }

  async cancelled({ keep }: CancelledError): Promise<AdaptOutcome> {
    if (keep) await this.#context?.save();
    const reached = this.#context?.reached;
    const figures = this.#figures();
    return {
      ...figures,
      state: 'cancelled',
      best: reached?.best ? toCandidate(reached.best, figures.data) : null,
      ladder: reached
        ? reportRungs(reached.state, this.#settings?.prefer).map((rung) => toRung(rung, figures.data))
        : [],
      target: this.#target,
      phases: this.#ready?.phases ?? this.#clock.phases(),
      candidateDir: null,
    };
  }

  async #prepare(): Promise<Prepared> {
    const spec = this.#spec;
    await mkdir(spec.workDir, { recursive: true });
    const next = await this.#bases.load(spec.newBase);
    const { hiddenSize } = next.model.config;
    const settings = resolveOptions(spec.options, { control: spec.kind === 'control', hiddenSize });
    this.#settings = settings;
    this.#totalSteps = settings.strategy === 'reuse' || settings.strategy === 'revert' ? 0 : settings.maxSteps;
    const old = await this.#bases.load(spec.oldBase);
    await requireCompatible(old, next);
    const oldAdapter = await loadAdapter(spec.adapter, next.model.config);
    const data = await loadTaskData(spec.data, { tokenizer: next.tokenizer, config: next.model.config });
    requireMetric(spec, data);
    if (settings.strategy === 'scratch' && !data.canTrain)
      throw new TaskDataError('strategy scratch needs training rows; the task shares none');
    for (const message of data.warnings) this.#listener.event({ type: 'warning', message });
    const checkpoints = new CheckpointStore(join(spec.workDir, 'checkpoints'));
    const resumed = await checkpoints.latest();
    const evolution = USES_EVOLUTION.has(settings.strategy) ? await this.#evolution(old, next) : null;
    this.#signal.throwIfAborted();
    const context = new JobContext({
      spec,
      settings,
      base: next,
      oldAdapter,
      evolution,
      data,
      checkpoints,
      resumed,
      clock: this.#clock,
      listener: this.#listener,
      signal: this.#signal,
    });
    return { context, settings, old, next, oldAdapter };
  }

  async #evolution(old: LoadedBase, next: LoadedBase): Promise<Evolution> {
    if (this.#spec.evolution !== null) return readEvolution(this.#spec.evolution);
    this.#clock.enter('evolution');
    const evolution = await evolutionBetween(old, next, { signal: this.#signal });
    this.#clock.enter('prepare');
    return evolution;
  }

  /** Measured once for all jobs that are told of it. */
  async #measureOld({ context, old, oldAdapter }: Prepared): Promise<GateMeasurement> {
    const subject = context.gateSubject(old);
    const known = this.#spec.old ? fromOutcomes(this.#spec.old, subject) : null;
    const found = known ?? (await context.measureOnGate(old, oldAdapter));
    if (!known && Number.isFinite(found.metric.value)) this.#listener.old(toOutcomes(found, subject));
    this.#note({ old_on_v1: found.metric.value });
    return found;
  }

  /** What only the report needs is measured when nobody waits for it any more. */
  async #completeBaselines(prepared: Prepared, { candidates }: Climb): Promise<void> {
    if (this.#signal.aborted) return;
    const { context, next, oldAdapter } = prepared;
    const valueOf = async (adapter: Adapter | null): Promise<number> =>
      (await context.measureOnGate(next, adapter)).metric.value;
    const copy = candidates.find(({ id }) => id === 'copy')?.metric.value;
    this.#note({ v2_copy: copy ?? (await valueOf(oldAdapter)) });
    this.#note({ v2_no_adapter: await valueOf(null) });
    if (this.#baselines.old_on_v1 === null) await this.#measureOld(prepared);
  }

  #note(found: Partial<Baselines>): void {
    this.#baselines = { ...this.#baselines, ...found };
    this.#listener.baselines(this.#target, this.#baselines);
  }

  #setTarget({ value }: GateTarget): void {
    this.#target = value;
    this.#listener.baselines(value, this.#baselines);
  }

  #markReady(): void {
    this.#ready ??= { ms: performance.now() - this.#begun, phases: this.#clock.phases() };
  }

  /** The listener, with an eye on what the outcome has to tell. */
  #observing(listener: JobListener): JobListener {
    return {
      phase: (phase) => listener.phase(phase),
      metrics: (points) => listener.metrics(points),
      baselines: (target, baselines) => listener.baselines(target, baselines),
      progress: (step, totalSteps) => {
        this.#totalSteps = totalSteps;
        listener.progress(step, totalSteps);
      },
      old: (outcomes) => listener.old(outcomes),
      event: (event) => listener.event(event),
      publish: async (...publication) => {
        await listener.publish(...publication);
        this.#markReady();
      },
    };
  }

  async #outcome({ ready, best, rungs, problem }: Climb, phases: Record<Phase, number>): Promise<AdaptOutcome> {
    const keep = !ready && best !== null && this.#spec.kind === 'adaptation';
    const figures = this.#figures();
    return {
      ...figures,
      state: ready ? 'ready' : 'not_ready',
      best: best && toCandidate(best, figures.data),
      ladder: rungs.map((rung) => toRung(rung, figures.data)),
      target: this.#target,
      phases,
      problem,
      candidateDir: keep ? await this.#context!.writeCandidate(best, 'best-candidate') : null,
    };
  }

  #figures() {
    const { step = 0, tokens = 0, seconds = 0, data = 'training' as const } = this.#context ?? {};
    return {
      baselines: this.#baselines,
      data,
      steps: step,
      totalSteps: this.#totalSteps,
      readyMs: this.#ready?.ms ?? null,
      tokens,
      tokensPerSecond: seconds > 0 ? tokens / seconds : 0,
    };
  }
}

/** How far the ladder came. */
interface Climb extends Pick<LadderOutcome, 'ready' | 'best' | 'candidates' | 'rungs'> {
  /** What ended it before its time. */
  readonly problem?: AdaptOutcome['problem'];
}

interface Prepared {
  readonly context: JobContext;
  readonly settings: AdaptationSettings;
  readonly old: LoadedBase;
  readonly next: LoadedBase;
  readonly oldAdapter: Adapter;
}

function requireMetric({ metric }: JobSpec, { choices }: TaskData): void {
  if (metric !== 'accuracy' || choices) return;
  throw new TaskDataError('metric accuracy needs a task with 2 to 20 distinct completions; this one has others');
}
