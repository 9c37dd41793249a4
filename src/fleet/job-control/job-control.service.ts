import { createJobRooms } from '../../tenants/quotas/index.ts';
import type { QuotaLimits } from '../../platform/config/quotas.ts';
import { AppError, conflict } from '../../platform/contract/errors.ts';
import { unrecorded } from '../../platform/contract/record-answer.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import { unconfined } from '../../platform/database/row-security/confined-database.repository.ts';
import type { QueueEntry } from '../../platform/queue/catalog.ts';
import type { QueueProducer } from '../../platform/queue/producer.ts';
import { cancelJobs, createJobService, type ChangedJob, type Job, type OwnOptions } from '../jobs/index.ts';
import { keepPaused, lockAndSettle, lockRollout, pauseJobs, resumeJobs, settleRollout } from '../rollouts/index.ts';
import { approveJob } from './approval.ts';
import { jobLifecycleRepository } from './job-lifecycle.repository.ts';
import { retryJob, type RetryChanges } from './retry/retry.ts';

interface ControlDependencies {
  db: Database;
  producer: QueueProducer;
  quotas: QuotaLimits;
}

/**
 * Service by which people change single jobs. In all methods `scope` is the tenant to which the caller is confined, or
 * null for the operator. Each method returns the job after the change.
 */
export interface JobControl {
  /**
   * Stops a job until somebody resumes that job. Resuming its rollout does not suffice.
   * @throws AppError 404, 409 `job_ended` or `job_ready`
   */
  pause(id: string, scope: string | null, recordChange?: RecordChange): Promise<Job>;
  /**
   * Lets a paused job continue from its checkpoint. Resuming a job that is not paused changes nothing.
   * @throws AppError 404, 409 `job_ended` or `rollout_paused`
   */
  resume(id: string, scope: string | null, recordChange?: RecordChange): Promise<Job>;
  /** Gives a job the approval of its tenant. If the job does not wait for an approval, nothing changes. */
  approve(id: string, scope: string | null, recordChange?: RecordChange): Promise<Job>;
  /**
   * Restarts a job that has ended without a publication. Options in the request replace those of the job.
   * @throws AppError 403 `quota_exceeded`, 404, and the 409 and 422 errors of {@link retryJob}
   */
  retry(
    id: string,
    scope: string | null,
    request?: { options?: OwnOptions; recordChange?: RecordChange },
  ): Promise<Job>;
  /**
   * Cancels a job. Cancelling a cancelled job changes nothing.
   * @throws AppError 404, 409 `job_ended` if the job has ended and was not cancelled
   */
  cancel(id: string, scope: string | null, recordChange?: RecordChange): Promise<Job>;
}

/**
 * Outcome of a change: the changed job, null if there was nothing to change, and the queue entries to add after the
 * commit.
 */
interface Changed {
  readonly job: ChangedJob | null;
  readonly entries: readonly QueueEntry[];
}

const UNCHANGED: Changed = { job: null, entries: [] };

/** Function that changes one job, in a transaction that has locked the row of the job's rollout. */
type Step = (tx: Transaction, job: Job, rolloutState: string) => Promise<Changed>;

interface StepOptions {
  readonly recordChange: RecordChange;
  /** Fields of the audit entry before the change, besides the job's state; `after` has those after the change. */
  readonly before?: object;
  readonly after?: object;
}

export function createJobControl({ db, producer, quotas }: ControlDependencies): JobControl {
  const jobs = createJobService({ db });

  /**
   * Runs a change of a job in a transaction that locks the job's rollout, so that nobody pauses or ends the rollout
   * meanwhile. The transaction is not confined to the caller's tenant, because a tenant may neither lock rollouts nor
   * write to the outbox. The job itself is read from the confined database before, so a caller can change only jobs
   * that it may see.
   */
  async function take(step: Step, id: string, scope: string | null, options: StepOptions): Promise<Job> {
    const job = await jobs.get(id, scope);
    const changed = await withTransaction(unconfined(db), async (tx) => {
      const result = await step(tx, job, await lockRollout(tx, job.rollout_id));
      if (result.job === null) return result;
      const { tenant_id: tenantId, old_state: old, state } = result.job;
      const [before, after] = [
        { state: old, ...options.before },
        { state, ...options.after },
      ];
      await options.recordChange(tx, { tenantId, subjectId: id, before, after });
      return result;
    });
    if (changed.job?.old_state === 'queued' && changed.job.state !== 'queued') {
      await producer.remove('adaptations', [id]);
    }
    await producer.enqueueAfterCommit([...changed.entries]);
    return jobs.get(id, scope);
  }

  const retryStep =
    (changes: RetryChanges): Step =>
    async (tx, { id, rollout_id: rolloutId, tenant_id: tenantId }, rolloutState) => {
      const room = (await createJobRooms({ db, defaults: quotas }).rooms(tx, [tenantId])).get(tenantId);
      if (room !== undefined && room.jobs <= 0) {
        const { message, ...details } = room.refusal;
        throw new AppError({ code: 'quota_exceeded', status: 403, message, details: { ...details } });
      }
      return retryJob(tx, { id, rolloutId, rolloutState, ...changes });
    };

  return {
    pause: (id, scope, recordChange = unrecorded) => take(pause, id, scope, { recordChange }),
    resume: (id, scope, recordChange = unrecorded) => take(resume, id, scope, { recordChange }),
    approve: (id, scope, recordChange = unrecorded) =>
      take(approve, id, scope, { recordChange, before: { approval: 'awaited' }, after: { approval: 'given' } }),
    retry: (id, scope, { options, recordChange = unrecorded } = {}) =>
      take(retryStep({ options, isOperator: scope === null }), id, scope, {
        recordChange,
        after: options && { own_options: options },
      }),

    async cancel(id, scope, recordChange = unrecorded) {
      const job = await jobs.get(id, scope);
      await withTransaction(db, (tx) => cancel(tx, id, recordChange));
      // Unconfined, because whether this was the rollout's last job depends on the jobs of all tenants. The sweeper
      // completes the rollout if this transaction does not.
      await producer.enqueueAfterCommit(await lockAndSettle(unconfined(db), job.rollout_id));
      const after = await jobs.get(id, scope);
      if (job.finished_at !== null && after.state !== 'cancelled') {
        throw conflict('job_ended', `job ${id} cannot be cancelled: it has ended and is ${after.state}`);
      }
      await producer.remove('adaptations', [id]);
      return after;
    },
  };
}

const pause: Step = async (tx, { id, rollout_id: rolloutId }) => {
  const [job] = await pauseJobs(tx, { jobIds: [id], rolloutId });
  // The wave does not wait for a paused job, and another job is admitted in its place.
  if (job !== undefined) return { job, entries: await settleRollout(tx, rolloutId) };
  const now = await jobLifecycleRepository.stateOf(tx, id);
  if (now.state !== 'paused') throw cannot('paused', id, now);
  await keepPaused(tx, [id]);
  return UNCHANGED;
};

const resume: Step = async (tx, { id, rollout_id: rolloutId }, rolloutState) => {
  const now = await jobLifecycleRepository.stateOf(tx, id);
  if (now.finishedAt !== null) throw cannot('resumed', id, now);
  if (now.state !== 'paused') return UNCHANGED;
  if (rolloutState === 'paused') {
    throw conflict('rollout_paused', `job ${id} cannot be resumed: its rollout is paused, resume that`);
  }
  const resumed = await resumeJobs(tx, { jobIds: [id], rolloutId });
  return { job: resumed.jobs[0] ?? null, entries: resumed.entries };
};

const approve: Step = async (tx, { id, rollout_id: rolloutId }, rolloutState) => {
  const now = await jobLifecycleRepository.stateOf(tx, id);
  if (now.finishedAt !== null) throw cannot('approved', id, now);
  if (rolloutState === 'cancelled' || rolloutState === 'failed') {
    throw conflict('rollout_ended', `job ${id} cannot be approved: its rollout is ${rolloutState}`);
  }
  return (await approveJob(tx, { id, rolloutId })) ?? UNCHANGED;
};

/** Cancels a job within a transaction. A ready job keeps its state, and only its refinement ends. */
async function cancel(tx: Transaction, id: string, recordChange: RecordChange): Promise<void> {
  const { jobs } = await cancelJobs(tx, { jobId: id });
  for (const { tenant_id: tenantId, old_state: old, state } of jobs) {
    const [before, after] = [
      { state: old, ended: false },
      { state, ended: true },
    ];
    await recordChange(tx, { tenantId, subjectId: id, before, after });
  }
}

function cannot(
  what: 'paused' | 'resumed' | 'approved',
  jobId: string,
  { state, finishedAt }: { state: string; finishedAt: Date | null },
): AppError {
  if (finishedAt !== null) return conflict('job_ended', `job ${jobId} cannot be ${what}: it has ended and is ${state}`);
  return conflict('job_ready', `job ${jobId} cannot be ${what}: it is ready, and only refined; cancel it to end that`);
}
