import { mkdir } from 'node:fs/promises';
import type { Logger } from '../../src/lib/logger.ts';
import type { JobEnd } from '../../src/modules/jobs/index.ts';
import type { AdaptOutcome, Candidate, JobSpec, MetricName } from '../training/protocol.ts';
import { buildJobSpec, type JobFolders } from './job-spec.ts';
import { recordProgress, type ProgressRecorder } from './progress-recorder.ts';
import { columnsOf, keepCandidate, publishCandidate, type PublicationContext } from './publication.ts';
import type { StreamMessage } from '../training/training-child.ts';
import type { TrainingSession } from '../training/training-process.ts';

export interface AdaptationContext extends PublicationContext, JobFolders {
  session: TrainingSession;
  /** Aborts when the worker stops or the job's time is over. */
  signal: AbortSignal;
  logger: Logger;
  heartbeatMs: number;
}

/**
 * Runs a claimed job in the training process and writes its end.
 *
 * @throws LeaseLostError if the job was cancelled or taken over; the signal's reason if it aborted; else the fault
 */
export async function runAdaptation(context: AdaptationContext): Promise<void> {
  const { job, lease, lifecycle, signal, logger } = context;
  const recorder = recordProgress({
    lifecycle,
    lease,
    tenantId: job.tenantId,
    sourceVersionId: job.sourceVersionId,
    metric: job.metricName as MetricName,
    known: { ...job },
    published: job.readyAt !== null,
    logger,
    intervalMs: context.heartbeatMs,
  });
  try {
    const spec = await buildJobSpec(context.db, job, context);
    await mkdir(spec.workDir, { recursive: true });
    const outcome = await adapt(context, spec, recorder, AbortSignal.any([signal, recorder.lost]));
    recorder.progress(outcome.steps, outcome.totalSteps, null);
    recorder.baselines(outcome.target, outcome.baselines);
    await recorder.flush();
    recorder.stop();
    await lifecycle.end(lease, job.rolloutId, await endOf(context, outcome));
  } catch (error) {
    // An aborted request ends with whatever the training process makes of it: the reason says more.
    recorder.lost.throwIfAborted();
    signal.throwIfAborted();
    throw error;
  } finally {
    recorder.stop();
  }
}

async function adapt(
  context: AdaptationContext,
  spec: JobSpec,
  recorder: ProgressRecorder,
  signal: AbortSignal,
): Promise<AdaptOutcome> {
  let published = context.job.readyAt !== null;
  const onMessage = async (message: StreamMessage): Promise<void> => {
    if (message.type === 'publish') {
      await recorder.flush();
      const versionId = await publishCandidate(context, message);
      recorder.published(message.candidate.value);
      published = true;
      context.logger.info(
        { versionId, strategy: message.candidate.strategy, value: message.candidate.value },
        'adapter published',
      );
    } else await relay(context, recorder, message);
  };
  const outcome = await context.session.adapt(spec, onMessage, signal);
  signal.throwIfAborted();
  if (outcome.state === 'cancelled') throw new Error(`training process cancelled job ${spec.jobId} unasked`);
  if (outcome.state === 'ready' && spec.kind === 'adaptation' && !published) {
    throw new Error(`training process ended job ${spec.jobId} as ready without a publication`);
  }
  return outcome;
}

async function relay(
  { lifecycle, lease }: AdaptationContext,
  recorder: ProgressRecorder,
  message: Exclude<StreamMessage, { type: 'publish' }>,
): Promise<void> {
  switch (message.type) {
    case 'phase':
      return lifecycle.advancePhase(lease, message.phase);
    case 'progress':
      return recorder.progress(message.step, message.totalSteps, message.metric);
    case 'metrics':
      return recorder.points(message.points);
    case 'search': {
      const { index, alpha, beta, rows, loss, durationMs } = message;
      return recorder.search({ index, fusionAlpha: alpha, fusionBeta: beta, rows, metric: 'loss', loss, durationMs });
    }
    case 'baselines':
      return recorder.baselines(message.target, message.baselines);
    case 'old':
      return recorder.old(message.outcomes);
  }
}

async function endOf(context: AdaptationContext, outcome: AdaptOutcome): Promise<JobEnd> {
  const best = outcome.best === null ? undefined : columnsOf(outcome.best);
  if (outcome.state === 'ready') return { state: 'ready', best };
  const { best: candidate, candidateDir, problem, target } = outcome;
  const digest =
    candidateDir === null || context.job.kind === 'control' ? null : await keepCandidate(context, candidateDir);
  const found =
    candidate === null
      ? 'no candidate was measured'
      : `the best candidate (${candidate.strategy}) reaches ${shown(candidate)}`;
  return {
    state: 'not_ready',
    best,
    error: {
      code: problem?.code ?? 'gate_not_reached',
      message: `${problem ? `${problem.message}; ` : ''}${found}, expected ${context.job.metricName} ${context.job.metricName === 'loss' ? 'at most' : 'at least'} ${target}`,
      candidate_digest: digest,
    },
  };
}

/** A candidate's value, and what else its gate looked at. */
function shown({ value, bound, negativeFlips, failed }: Candidate): string {
  const flips = failed.includes('negative_flips')
    ? `, ${((negativeFlips ?? 0) * 100).toFixed(1)} % negative flips are too many`
    : '';
  return `${value}${bound === null ? '' : `, of which the gate is sure of ${bound}`}${flips}`;
}
