import { isIncomplete } from '../../core/adaptation/baselines.ts';
import type { JobOutcome } from '../../core/adaptation/job-outcome.ts';
import type { JobSpec } from '../../core/adaptation/job-spec.ts';
import { rowsWarning } from '../../core/method/gate/gate-rows.ts';
import type { CandidateRecord } from '../../core/method/ladder/candidate.ts';
import type { MetricName } from '../../core/options/metrics.ts';
import type { QueueProducer } from '../../src/platform/queue/index.ts';
import type { Logger } from '../../src/lib/logger.ts';
import type { JobEnd } from '../../src/fleet/job-control/index.ts';
import type { TrainingSlot } from '../training/training-process.ts';
import { buildAnchorSpec, requireAnchor, type JobAnchorSpec } from './anchors/anchor.ts';
import { buildJobSpec, type JobFolders } from './build-job-spec.ts';
import { createJobEventHandler } from './progress/job-event-handler.ts';
import { recordProgress, type ProgressRecorder } from './progress/progress-recorder.ts';
import { candidateColumns, keepCandidate, type PublicationContext } from './publication.ts';
import { PhaseSpans, type JobTrace } from './progress/phase-spans.ts';
import { takeOverWorkDir } from './work-dir.ts';

export interface JobRun extends Omit<PublicationContext, 'anchor'>, JobFolders {
  slot: TrainingSlot;
  /** Signal that aborts when the worker stops or the job has taken too long. */
  signal: AbortSignal;
  producer: QueueProducer;
  logger: Logger;
  heartbeatMs: number;
  onTrained?: (tokensPerSecond: number) => void;
  /** Id of this worker in the list of workers. */
  workerId: string | null;
  attempt: number;
  trace: JobTrace;
}

/**
 * Runs a claimed job in the training process and stores its end.
 * @throws LeaseLostError if the job was cancelled or taken over; the signal's reason if it aborted; otherwise the error
 * of the training process, the database or the artifact store
 */
export function runJob(run: JobRun): Promise<void> {
  // The artifacts that the job reads stay on this machine until it has ended.
  return run.artifacts.holding((artifacts) => runHolding({ ...run, artifacts }));
}

async function runHolding(run: JobRun): Promise<void> {
  const { job, lease, lifecycle, signal, logger } = run;
  const recorder = recordProgress({
    lifecycle,
    lease,
    job,
    metric: job.metricName as MetricName,
    known: { ...job },
    published: job.readyAt !== null,
    logger,
    intervalMs: run.heartbeatMs,
  });
  try {
    const workDir = await takeOverWorkDir(run.checkpoints, job.id, run.attempt, job.retriedAfter);
    const anchor = await buildAnchorSpec(run.db, job, run);
    // If the rows are prompts alone, the anchor generates the answers, which takes long: check for its base first.
    if (job.adapter.dataset?.promptsOnly) await requireAnchor({ ...run, anchorSpec: anchor }, { version: 'old' });
    const built = await buildJobSpec(run.db, job, { ...run, workDir });
    const spec: JobSpec = { ...built, anchor: anchor?.spec ?? null };
    const outcome = await adapt(run, { spec, anchor }, recorder);
    run.onTrained?.(outcome.tokensPerSecond);
    recorder.progress(outcome.steps, outcome.totalSteps);
    recorder.baselines(outcome.target, outcome.baselines);
    await recorder.flush();
    recorder.stop();
    const ended = await lifecycle.end(lease, job.rolloutId, await endOf(run, outcome));
    await run.producer.enqueueAfterCommit(ended);
  } catch (error) {
    // The training process reports an aborted request as cancelled; the reason for the abort is more precise.
    recorder.lost.throwIfAborted();
    signal.throwIfAborted();
    throw error;
  } finally {
    recorder.stop();
  }
}

async function adapt(
  run: JobRun,
  { spec, anchor }: { readonly spec: JobSpec; readonly anchor: JobAnchorSpec | null },
  recorder: ProgressRecorder,
): Promise<JobOutcome> {
  const signal = AbortSignal.any([run.signal, recorder.lost]);
  let published = run.job.readyAt !== null;
  const phases = new PhaseSpans(run.trace);
  const onEvent = createJobEventHandler({
    ...run,
    phases,
    anchorSpec: anchor,
    recorder,
    onPublished: () => (published = true),
  });
  const outcome = await run.slot.adapt(spec, onEvent, signal).finally(() => phases.end());
  signal.throwIfAborted();
  if (outcome.state === 'cancelled')
    throw new Error(`the training process cancelled job ${spec.jobId} without being asked to`);
  if (outcome.state === 'ready' && spec.kind === 'adaptation' && !published) {
    throw new Error(`the training process ended job ${spec.jobId} as ready without a publication`);
  }
  return outcome;
}

async function endOf(run: JobRun, outcome: JobOutcome): Promise<JobEnd> {
  const { best: candidate, candidateFolder, problem, target } = outcome;
  const best = candidate === null ? undefined : candidateColumns(candidate);
  const { kind, metricName } = run.job;
  const { precision } = outcome;
  const baselinesPending = kind === 'adaptation' && precision !== null && isIncomplete(outcome.baselines);
  const measured = { precision, baselinesPending };
  if (outcome.state === 'ready') return { state: 'ready', best, ...measured };
  const digest = candidateFolder === null || kind === 'control' ? null : await keepCandidate(run, candidateFolder);
  const reached =
    candidate === null
      ? 'no candidate was measured'
      : `the best candidate (${candidate.strategy}) reaches ${describe(candidate)}`;
  const warning = candidate && rowsWarning(candidate);
  const expected = `expected ${metricName} ${metricName === 'loss' ? 'at most' : 'at least'} ${target}`;
  return {
    state: 'not_ready',
    best,
    ...measured,
    error: {
      code: problem?.code ?? (warning === null ? 'gate_not_reached' : 'gate_inconclusive'),
      message: `${problem ? `${problem.message}; ` : ''}${reached}, ${warning ?? expected}`,
      candidate_digest: digest,
    },
  };
}

/**
 * Describes a candidate in one line: its metric and, if the gate judged by them, the confidence bound, an excess of
 * negative flips, and the critical slices that failed.
 */
function describe({ metric, bound, negativeFlips, failed, certificate }: CandidateRecord): string {
  const share = ((negativeFlips ?? 0) * 100).toFixed(1);
  const flips = failed.includes('negative_flips') ? `, ${share} % negative flips are too many` : '';
  const worse = (certificate?.slices ?? [])
    .filter(({ verdict }) => verdict === 'failed')
    .map(
      ({ name, value, old, margin }) =>
        `, slice ${name} has ${value} and had ${old}, which is worse than its margin of ${margin}`,
    );
  return `${metric.value}${bound === null ? '' : ` with a confidence bound of ${bound}`}${flips}${worse.join('')}`;
}
