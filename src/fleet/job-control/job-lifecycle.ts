import type { Precision } from '../../../core/options/precisions.ts';
import type { QueueEntry } from '../../platform/queue/catalog.ts';
import { writeOutbox } from '../../platform/queue/outbox.repository.ts';
import { withTransaction, type Database, type Prisma, type Transaction } from '../../platform/database/database.ts';
import { recordJobChange, toBaselinesEntry, type ChangedJob, type JobPhase } from '../jobs/index.ts';
import { changeAndSettle } from '../rollouts/index.ts';
import {
  jobLifecycleRepository as repository,
  type CandidateColumns,
  type JobProgress,
  type JobLease,
  type MeasuredBaselines,
} from './job-lifecycle.repository.ts';

/**
 * Error for a worker that has lost its lease on a job, because another worker has claimed the job, or the job has ended
 * or is paused. The worker must stop its work on the job.
 */
export class LeaseLostError extends Error {
  constructor(jobId: string) {
    super(`this worker no longer holds job ${jobId}`);
    this.name = 'LeaseLostError';
  }
}

/** Error for a worker whose job was cancelled meanwhile. The result of the job is no longer needed. */
export class JobEndedError extends LeaseLostError {
  constructor(jobId: string) {
    super(jobId);
    this.name = 'JobEndedError';
    this.message = `job ${jobId} was cancelled`;
  }
}

/** Error for a worker whose job was paused meanwhile. A later attempt resumes the job from its checkpoint. */
export class JobPausedError extends LeaseLostError {
  constructor(jobId: string) {
    super(jobId);
    this.name = 'JobPausedError';
    this.message = `job ${jobId} was paused`;
  }
}

export interface JobEnd {
  state: 'ready' | 'not_ready' | 'failed' | 'cancelled';
  error?: Prisma.InputJsonObject;
  best?: CandidateColumns;
  /** Precision in which the worker loaded the weights of both bases; null if it loaded none. */
  precision?: Precision | null;
  /**
   * Whether baselines of the job are still to be measured after its end. Only reports compare the job's result with
   * them.
   */
  baselinesPending?: boolean;
}

/** Observer of job changes, which is called after a change is committed. */
export interface JobObserver {
  /** Called when a job has published a candidate. At the first publication of the job, `old_state` is not `ready`. */
  published(job: ChangedJob): void;
  /** Called when a worker has ended a job. */
  ended(job: ChangedJob): void;
}

interface JobLifecycleOptions {
  db: Database;
  leaseMs?: number;
  observer?: JobObserver;
}

/**
 * Changes that a worker makes to a job's row. Every change is a conditional update with its event, in one transaction.
 * Methods that take a lease, except `claim`, throw {@link LeaseLostError} if the worker does not hold it: {@link
 * JobEndedError} if the job has ended, and {@link JobPausedError} if it is paused.
 */
export interface JobLifecycle {
  /** Duration of a lease, in milliseconds. */
  readonly leaseMs: number;
  /**
   * Claims a job for a worker. Returns null if the job cannot be claimed, for example because it has ended, is paused,
   * or another worker has claimed it.
   */
  claim(lease: JobLease): Promise<ChangedJob | null>;
  /** Renews the lease on a job, stores the job's progress and runs `also`, all in one transaction. */
  heartbeat(lease: JobLease, progress: JobProgress, also?: (tx: Transaction) => Promise<void>): Promise<void>;
  /** Moves a job to its next phase, on which its clock then runs. */
  advancePhase(lease: JobLease, phase: JobPhase): Promise<void>;
  /**
   * Stores that a job has published a candidate. `insertVersion` inserts the adapter version, in the transaction that
   * makes the job ready, and returns the version's identifier.
   */
  publish(
    lease: JobLease,
    candidate: CandidateColumns,
    insertVersion: (tx: Transaction) => Promise<string>,
  ): Promise<string>;
  /**
   * Ends a job and releases its lease. The end of a rollout's last job completes the rollout, unless baselines are
   * pending. Baselines are measurements that only reports need.
   * @returns the queue entries to add: one to measure pending baselines, and one for each job admitted in place of this
   *   one
   */
  end(lease: JobLease, rolloutId: string, end: JobEnd): Promise<QueueEntry[]>;
  /**
   * Stores the measured baselines of a job, and runs `also` in the same transaction. Baselines are measurements that
   * only reports need. The rollout completes if nothing else in it is left to do. Does nothing if the job has no
   * baselines pending.
   */
  endBaselines(
    job: { id: string; rolloutId: string },
    baselines: MeasuredBaselines,
    also: (tx: Transaction) => Promise<void>,
  ): Promise<void>;
  /**
   * Gives a job back to the queue. `error` is the failure of the attempt; null if the worker only shuts down. An
   * `excused` attempt ended through no fault of the job, and does not count.
   */
  release(lease: JobLease, error: Prisma.InputJsonObject | null, how?: { excused?: boolean }): Promise<void>;
}

export function createJobLifecycle({ db, leaseMs = 15_000, observer }: JobLifecycleOptions): JobLifecycle {
  return {
    leaseMs,

    claim: (lease: JobLease): Promise<ChangedJob | null> =>
      withTransaction(db, async (tx) => {
        const job = await repository.claim(tx, lease, leaseMs);
        if (job !== null) await recordJobChange(tx, job);
        return job;
      }),

    heartbeat: (lease: JobLease, progress: JobProgress, also?: (tx: Transaction) => Promise<void>): Promise<void> =>
      withTransaction(db, async (tx) => {
        if (!(await repository.heartbeat(tx, lease, leaseMs, progress))) throw await leaseLost(tx, lease.jobId);
        await also?.(tx);
      }),

    advancePhase: (lease: JobLease, phase: JobPhase): Promise<void> =>
      withTransaction(db, (tx) => advancePhase(tx, lease, phase)),

    publish: async (
      lease: JobLease,
      candidate: CandidateColumns,
      insertVersion: (tx: Transaction) => Promise<string>,
    ): Promise<string> => {
      const published = await withTransaction(db, async (tx) => {
        const job = await repository.markReady(tx, lease, candidate);
        if (job === null) throw await leaseLost(tx, lease.jobId);
        const versionId = await insertVersion(tx);
        await recordJobChange(tx, job, { published_version_id: versionId });
        return { job, versionId };
      });
      observer?.published(published.job);
      return published.versionId;
    },

    end: async (lease: JobLease, rolloutId: string, end: JobEnd): Promise<QueueEntry[]> => {
      const { state, error = null, best = null, precision = null, baselinesPending = false } = end;
      const { result, entries } = await changeAndSettle(db, rolloutId, async (tx) => {
        const job = await repository.end(tx, lease, { state, error, best, precision, baselinesPending });
        if (job === null) throw await leaseLost(tx, lease.jobId);
        await recordJobChange(tx, job);
        const baselines = baselinesPending ? [toBaselinesEntry(job.id)] : [];
        await writeOutbox(tx, baselines);
        return { job, baselines };
      });
      if (result === null) return entries;
      observer?.ended(result.job);
      return [...result.baselines, ...entries];
    },

    endBaselines: async (
      { id, rolloutId }: { id: string; rolloutId: string },
      baselines: MeasuredBaselines,
      also: (tx: Transaction) => Promise<void>,
    ): Promise<void> => {
      await changeAndSettle(db, rolloutId, async (tx) => {
        if (!(await repository.endBaselines(tx, id, baselines))) return null;
        await also(tx);
        return true;
      });
    },

    release: (
      lease: JobLease,
      error: Prisma.InputJsonObject | null,
      { excused = false }: { excused?: boolean } = {},
    ): Promise<void> =>
      withTransaction(db, async (tx) => {
        const job = await repository.release(tx, lease, { error, excused });
        if (job === null) throw await leaseLost(tx, lease.jobId);
        await recordJobChange(tx, job);
      }),
  };
}

/** Moves a job to its next phase within a transaction. @throws LeaseLostError */
export async function advancePhase(tx: Transaction, lease: JobLease, phase: JobPhase): Promise<void> {
  const job = await repository.advancePhase(tx, lease, phase);
  if (job === null) throw await leaseLost(tx, lease.jobId);
  await recordJobChange(tx, job);
}

async function leaseLost(tx: Transaction, jobId: string): Promise<LeaseLostError> {
  const reason = await repository.whyLost(tx, jobId);
  if (reason === 'ended') return new JobEndedError(jobId);
  return reason === 'paused' ? new JobPausedError(jobId) : new LeaseLostError(jobId);
}
