import { Prisma, type Transaction } from '../../platform/database/database.ts';
import {
  ACCRUE,
  ACCRUE_AS_WAIT,
  CLOCK,
  inState,
  REFINING,
  RETURNED,
  RUNNING_JOB_STATES,
  statesBefore,
  stateOfPhase,
  TOTAL,
  type ChangedJob,
  type JobPhase,
} from '../jobs/index.ts';

/**
 * Lease by which a worker claims a job. Each claim has a new `owner`, so a worker that has lost its lease can no longer
 * write.
 */
export interface JobLease {
  readonly jobId: string;
  readonly owner: string;
}

export interface JobProgress {
  step: number;
  totalSteps: number;
  metricTarget: number | null;
  metricOld: number | null;
  metricNone: number | null;
  metricCopy: number | null;
  metricBest: number | null;
}

/**
 * Values of the gate's metric with which reports compare the published adapter: those of the old adapter on the old
 * base, of the new base without an adapter, and of the old adapter, unchanged, on the new base. A value is null if it
 * could not be measured.
 */
export type MeasuredBaselines = Pick<JobProgress, 'metricOld' | 'metricNone' | 'metricCopy'>;

export interface CandidateColumns {
  strategy: string;
  fusionAlpha: number | null;
  fusionBeta: number | null;
  value: number;
  /** Certificate of the gate's verdict on the candidate; null if the gate asks for no confidence level. */
  certificate: Prisma.InputJsonObject | null;
}

/** Makes the SQL that locks a job's row and selects its state before the change as `old`. */
function lockedRow(jobId: string): Prisma.Sql {
  return Prisma.sql`clock, (SELECT id, state FROM jobs WHERE id = ${jobId} FOR NO KEY UPDATE) AS old`;
}

function held(lease: JobLease): Prisma.Sql {
  return Prisma.sql`j.id = old.id AND j.lease_owner = ${lease.owner}`;
}

/** SQL condition that the job `j` is in a state in which a worker may be working on it. */
const OPEN = Prisma.sql`(j.state = ANY(${[...RUNNING_JOB_STATES]}::job_state[]) OR ${REFINING})`;

function leaseUntil(leaseMs: number): Prisma.Sql {
  return Prisma.sql`clock.now + make_interval(secs => ${leaseMs / 1000}::float8)`;
}

function first<T>(rows: T[]): T | null {
  return rows[0] ?? null;
}

/**
 * Updates of a job that apply only under conditions. If the job's state does not allow the change, or the worker does
 * not hold the lease, an update changes nothing and returns null or false.
 */
export const jobLifecycleRepository = {
  /**
   * Claims a job for a worker if the job is queued or its lease has expired. Jobs of a cancelled, failed or paused
   * rollout are refused, because they are about to be cancelled or paused; so are jobs that still wait to be admitted.
   */
  async claim(tx: Transaction, lease: JobLease, leaseMs: number): Promise<ChangedJob | null> {
    return first(
      await tx.$queryRaw<ChangedJob[]>`
        ${CLOCK}
        UPDATE jobs j SET ${ACCRUE_AS_WAIT},
          state = CASE WHEN j.state = 'ready' THEN j.state ELSE 'preparing' END,
          phase = CASE WHEN j.ttr_ms IS NULL THEN 'prepare' ELSE j.phase END,
          attempt = j.attempt + 1, error = NULL, started_at = COALESCE(j.started_at, clock.now),
          lease_owner = ${lease.owner}, lease_expires_at = ${leaseUntil(leaseMs)}, updated_at = clock.now
        FROM ${lockedRow(lease.jobId)}
        WHERE j.id = old.id AND (j.state = 'queued' OR ${OPEN})
          AND j.paused_at IS NULL AND j.admission IS DISTINCT FROM 'waiting'
          AND (j.lease_owner IS NULL OR j.lease_expires_at < clock.now)
          AND NOT EXISTS (SELECT 1 FROM rollouts WHERE id = j.rollout_id AND state IN ('cancelled', 'failed', 'paused'))
        RETURNING ${RETURNED}`,
    );
  },

  /** Renews the lease on a job, and stores the job's progress. */
  async heartbeat(tx: Transaction, lease: JobLease, leaseMs: number, progress: JobProgress): Promise<boolean> {
    const count = await tx.$executeRaw`
      ${CLOCK}
      UPDATE jobs j SET ${ACCRUE}, lease_expires_at = ${leaseUntil(leaseMs)},
        step = ${progress.step}, total_steps = ${progress.totalSteps},
        metric_target = COALESCE(${progress.metricTarget}::float8, j.metric_target),
        metric_old = COALESCE(${progress.metricOld}::float8, j.metric_old),
        metric_none = COALESCE(${progress.metricNone}::float8, j.metric_none),
        metric_copy = COALESCE(${progress.metricCopy}::float8, j.metric_copy),
        metric_best = COALESCE(${progress.metricBest}::float8, j.metric_best),
        updated_at = clock.now
      FROM ${lockedRow(lease.jobId)} WHERE ${held(lease)} AND ${OPEN}`;
    return count === 1;
  },

  /** Moves a job to its next phase: its clock runs on that phase, and its state follows. A ready job stays ready. */
  async advancePhase(tx: Transaction, lease: JobLease, phase: JobPhase): Promise<ChangedJob | null> {
    const state = stateOfPhase(phase);
    return first(
      await tx.$queryRaw<ChangedJob[]>`
        ${CLOCK}
        UPDATE jobs j SET ${ACCRUE},
          phase = CASE WHEN j.ttr_ms IS NULL THEN ${phase}::job_phase ELSE j.phase END,
          state = CASE WHEN j.state = 'ready' THEN j.state ELSE ${state}::job_state END,
          updated_at = clock.now
        FROM ${lockedRow(lease.jobId)}
        WHERE ${held(lease)} AND ${OPEN} AND (j.state = 'ready' OR ${inState(statesBefore(state))})
        RETURNING ${RETURNED}`,
    );
  },

  /**
   * Stores that a job has published a candidate. The first publication stops the job's clock and makes the job ready.
   */
  async markReady(tx: Transaction, lease: JobLease, candidate: CandidateColumns): Promise<ChangedJob | null> {
    return first(
      await tx.$queryRaw<ChangedJob[]>`
        ${CLOCK}
        UPDATE jobs j SET ${ACCRUE},
          ttr_ms = COALESCE(j.ttr_ms, ${TOTAL}), ready_at = COALESCE(j.ready_at, clock.now), state = 'ready',
          won_strategy = ${candidate.strategy}, fusion_alpha = ${candidate.fusionAlpha}::float8,
          fusion_beta = ${candidate.fusionBeta}::float8, metric_best = ${candidate.value}::float8,
          certificate = ${jsonText(candidate.certificate)}::jsonb, updated_at = clock.now
        FROM ${lockedRow(lease.jobId)}
        WHERE ${held(lease)} AND ${OPEN} AND (j.state = 'ready' OR ${inState(statesBefore('ready'))})
        RETURNING ${RETURNED}`,
    );
  },

  /**
   * Ends a job and releases its lease. A control publishes nothing, so its time to readiness is set here if it ends as
   * `ready`.
   */
  async end(
    tx: Transaction,
    lease: JobLease,
    end: {
      state: 'ready' | 'not_ready' | 'failed' | 'cancelled';
      error: Prisma.InputJsonObject | null;
      best: CandidateColumns | null;
      precision: string | null;
      baselinesPending: boolean;
    },
  ): Promise<ChangedJob | null> {
    return first(
      await tx.$queryRaw<ChangedJob[]>`
        ${CLOCK}
        UPDATE jobs j SET ${ACCRUE},
          ttr_ms = CASE WHEN j.ttr_ms IS NULL AND ${end.state} = 'ready' THEN ${TOTAL} ELSE j.ttr_ms END,
          ready_at = CASE WHEN ${end.state} = 'ready' THEN COALESCE(j.ready_at, clock.now) ELSE j.ready_at END,
          state = CASE WHEN j.state = 'ready' THEN j.state ELSE ${end.state}::job_state END,
          won_strategy = COALESCE(j.won_strategy, ${end.best?.strategy ?? null}),
          fusion_alpha = COALESCE(j.fusion_alpha, ${end.best?.fusionAlpha ?? null}::float8),
          fusion_beta = COALESCE(j.fusion_beta, ${end.best?.fusionBeta ?? null}::float8),
          metric_best = COALESCE(${end.best?.value ?? null}::float8, j.metric_best),
          certificate = COALESCE(${jsonText(end.best?.certificate ?? null)}::jsonb, j.certificate),
          precision = COALESCE(${end.precision}, j.precision), baselines_pending = ${end.baselinesPending},
          error = ${jsonText(end.error)}::jsonb, finished_at = clock.now, admission = NULL,
          lease_owner = NULL, lease_expires_at = NULL, updated_at = clock.now
        FROM ${lockedRow(lease.jobId)}
        WHERE ${held(lease)} AND ${OPEN} AND (j.state = 'ready' OR ${inState(statesBefore(end.state))})
        RETURNING ${RETURNED}`,
    );
  },

  /** Gives a job back to the queue. `error` is the failure of the attempt; null if the worker only shuts down. */
  async release(
    tx: Transaction,
    lease: JobLease,
    { error, excused }: { error: Prisma.InputJsonObject | null; excused: boolean },
  ): Promise<ChangedJob | null> {
    return first(
      await tx.$queryRaw<ChangedJob[]>`
        ${CLOCK}
        UPDATE jobs j SET ${ACCRUE},
          state = CASE WHEN j.state = 'ready' THEN j.state ELSE 'queued' END,
          phase = CASE WHEN j.ttr_ms IS NULL THEN 'queue_wait' ELSE j.phase END,
          excused_attempts = j.excused_attempts + ${excused ? 1 : 0}::int,
          error = ${jsonText(error)}::jsonb, lease_owner = NULL, lease_expires_at = NULL, updated_at = clock.now
        FROM ${lockedRow(lease.jobId)} WHERE ${held(lease)} AND ${OPEN}
        RETURNING ${RETURNED}`,
    );
  },

  /**
   * Stores the measured baselines of a job, which only reports need. Values that are stored already are kept. Returns
   * false, and changes nothing, if the job has no baselines pending.
   */
  async endBaselines(
    tx: Transaction,
    jobId: string,
    { metricOld, metricNone, metricCopy }: MeasuredBaselines,
  ): Promise<boolean> {
    const count = await tx.$executeRaw`
      UPDATE jobs SET baselines_pending = FALSE, updated_at = clock_timestamp(),
        metric_old = COALESCE(metric_old, ${metricOld}::float8),
        metric_none = COALESCE(metric_none, ${metricNone}::float8),
        metric_copy = COALESCE(metric_copy, ${metricCopy}::float8)
      WHERE id = ${jobId} AND baselines_pending`;
    return count === 1;
  },

  /**
   * Finds out why a worker has lost its lease on a job: the job has ended or no longer exists, it is paused, or another
   * worker has claimed it.
   */
  async whyLost(tx: Transaction, jobId: string): Promise<'ended' | 'paused' | 'taken'> {
    const job = await tx.job.findUnique({ where: { id: jobId }, select: { finishedAt: true, pausedAt: true } });
    if (job === null || job.finishedAt !== null) return 'ended';
    return job.pausedAt === null ? 'taken' : 'paused';
  },

  stateOf: (tx: Transaction, jobId: string) =>
    tx.job.findUniqueOrThrow({ where: { id: jobId }, select: { state: true, finishedAt: true } }),
};

function jsonText(value: Prisma.InputJsonObject | null): string | null {
  return value === null ? null : JSON.stringify(value);
}
