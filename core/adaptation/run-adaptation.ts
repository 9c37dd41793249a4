import type { BaseCache } from '../engine/base-cache.ts';
import { withOnnxProducts } from '../engine/compiled/onnx-products.ts';
import { COPY } from '../method/fusion/coefficients.ts';
import { resolveTarget, type Gate, type GateMeasurement } from '../method/gate/readiness-gate.ts';
import { toRecord, type CandidateRecord } from '../method/ladder/candidate.ts';
import { reportRungs } from '../method/ladder/strategies.ts';
import { completeOnNewBase } from './baselines.ts';
import type { JobEventHandler } from './job-events.ts';
import type { JobOutcome } from './job-outcome.ts';
import { JobReport, type JobAttempt } from './job-report.ts';
import type { JobSpec } from './job-spec.ts';
import { NO_BREAKDOWN } from './measurements/gate-breakdown.ts';
import { runLadder, type LadderResult } from './run-ladder.ts';
import { prepareJob, type PreparedJob } from './setup/prepare-job.ts';

/** Error that an aborted signal carries as its reason when a job has been cancelled. */
export class CancelledError extends Error {
  /** Whether the job saves a checkpoint before it stops, because it will be resumed. */
  readonly keep: boolean;

  constructor({ keep }: { readonly keep: boolean }) {
    super('the job was cancelled');
    this.name = 'CancelledError';
    this.keep = keep;
  }
}

/**
 * Runs one attempt at a job: loads its files and bases, measures the reference if need be, runs the strategy's ladder,
 * and measures the baselines, unless they are left for later. It resumes from the checkpoint in `workDir`, if there is
 * one.
 * @returns the outcome, also if the job was cancelled
 * @throws FormatError, DatasetError, IncompatibleBasesError and the like for input that cannot be used;
 * TrainingDivergedError if training diverged before any candidate was judged
 */
export async function runAdaptation(
  bases: BaseCache,
  spec: JobSpec,
  onEvent: JobEventHandler,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const attempt = { bases, spec, signal, report: new JobReport(onEvent) };
  let prepared = null as PreparedJob | null;
  try {
    return await withOnnxProducts(async (products) => {
      prepared = await prepareJob(attempt, products);
      return runPrepared(attempt, prepared);
    });
  } catch (error) {
    if (!(signal.aborted && signal.reason instanceof CancelledError)) throw error;
    return endCancelled(attempt, prepared, signal.reason);
  }
}

async function runPrepared(attempt: JobAttempt, job: PreparedJob): Promise<JobOutcome> {
  const { spec, report } = attempt;
  const { context, settings, breakdown } = job;
  const gate: Gate = { metric: spec.metric, ...spec.gate, sliceRows: breakdown.sliceRows };
  const old = await compareWithReference(attempt, job, gate);
  const judged = { gate, old, ...(spec.kind === 'control' && { refineSteps: 0 }) };
  const result = await runLadder(context, settings, judged);
  // A control publishes nothing, and a resumed job may have published before. For both, a ready ladder means readiness.
  if (result.ready) report.markReady();
  const phases = report.phases();
  reportLadder(attempt, result);
  await completeBaselines(attempt, job, result);
  const { ready, best, rungs, problem } = result;
  const isKept = !ready && best !== null && spec.kind === 'adaptation';
  return {
    ...figuresOf(attempt, job),
    state: ready ? 'ready' : 'not_ready',
    best: best && toRecord(best),
    ...breakdown.of(best),
    ladder: rungs,
    phases,
    problem,
    candidateFolder: isKept ? await context.writeCandidate(best, 'best-candidate') : null,
  };
}

/**
 * Looks up the measurement of the reference, the version with which the gate compares candidates. If there is none yet,
 * measures the reference. Reports the value of the metric that the gate asks for, and the version from which the gate's
 * margin counts.
 * @returns the measurement; null if candidates are compared with no version
 */
async function compareWithReference(
  { report }: JobAttempt,
  { reference, newBase, breakdown, compared: measured }: PreparedJob,
  gate: Gate,
): Promise<GateMeasurement | null> {
  const compared = measured ?? (reference.isCompared ? await reference.onGate(newBase) : null);
  const old = reference.isAnchor ? reference.knownOld(newBase.loaded) : compared;
  const anchor = compared && reference.countedFrom(compared);
  if (anchor) report.emit({ type: 'anchor', anchor });
  report.setTarget(resolveTarget(gate, compared && compared.metric).value);
  breakdown.compareWith({ reference: compared, old });
  report.reportBaselines({});
  return compared;
}

/**
 * Reports that the ladder has ended. If the gate has judged the unchanged copy on all gate rows, its metric is reported
 * as a baseline, too.
 */
function reportLadder({ report }: JobAttempt, { ready, best, rungs, candidates }: LadderResult): void {
  const publishedId = ready ? (best?.id ?? null) : null;
  report.emit({ type: 'ladder', ladder: { current: null, rungs, candidates, publishedId, ended: true } });
  const copy = candidates.find(isCopy);
  if (copy && copy.metric.available === undefined) report.reportBaselines({ copy: copy.metric.value });
}

function isCopy({ step, alpha, beta }: CandidateRecord): boolean {
  return step === 0 && alpha === COPY.alpha && beta === COPY.beta;
}

/** Measures the baselines that the job has to report and that are not known yet. */
async function completeBaselines(attempt: JobAttempt, job: PreparedJob, { ready }: LadderResult): Promise<void> {
  const { kind, baselines, measuresOld } = attempt.spec;
  // The answers to prompts alone are deleted with the job's folder, so nothing can be measured on them later.
  const isLast = baselines !== 'needed' || job.hasWritten;
  if (kind === 'adaptation' && isLast) await completeAll(attempt, job);
  else if (ready && measuresOld !== undefined) await completeOld(attempt, job);
}

async function completeAll(attempt: JobAttempt, job: PreparedJob): Promise<void> {
  const { signal, report } = attempt;
  if (signal.aborted) return;
  const { exact, newBase, oldAdapter: adapter } = job;
  report.reportBaselines(await completeOnNewBase({ exact, newBase: newBase.loaded, adapter }, report.baselines));
  await completeOld(attempt, job);
}

async function completeOld({ signal, report }: JobAttempt, { newBase, reference }: PreparedJob): Promise<void> {
  if (signal.aborted || report.baselines.old !== null) return;
  await reference.old(newBase.loaded);
}

/**
 * Makes the outcome of a cancelled job, and saves a checkpoint if the job is to be resumed.
 * @param job the prepared job; null if the job was cancelled before it was prepared
 */
async function endCancelled(
  attempt: JobAttempt,
  job: PreparedJob | null,
  { keep }: CancelledError,
): Promise<JobOutcome> {
  if (keep) await job?.context.save();
  const reached = job?.context.reached;
  return {
    ...figuresOf(attempt, job),
    state: 'cancelled',
    best: reached?.best ? toRecord(reached.best) : null,
    ...NO_BREAKDOWN,
    ladder: reached ? reportRungs(reached.state, job?.settings.prefer) : [],
    phases: attempt.report.phases(),
    candidateFolder: null,
  };
}

function figuresOf({ report }: JobAttempt, job: PreparedJob | null) {
  const { steps = 0, tokens = 0, seconds = 0 } = job?.context.training.totals ?? {};
  return {
    ...report.figures(),
    precision: job?.newBase.precision ?? null,
    rows: job?.context.rows ?? ('training' as const),
    steps,
    tokens,
    tokensPerSecond: seconds > 0 ? tokens / seconds : 0,
  };
}
