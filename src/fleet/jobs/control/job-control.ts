import type { QuotaLimits } from '../../../platform/config/quotas.ts';
import type { JobEntry } from '../../../platform/queue/catalog.ts';
import type { JobProducer } from '../../../platform/queue/producer.ts';
import { withTransaction, type Database, type Transaction } from '../../../platform/database/database.ts';
import { AppError, conflict } from '../../../platform/contract/errors.ts';
import type { RecordChange } from '../../../platform/contract/record-change.ts';
import { unconfined } from '../../../platform/database/row-security/confined-database.repository.ts';
import { createJobRooms } from '../../../tenants/quotas/index.ts';
import { jobLifecycleRepository, type ChangedJob } from '../job-lifecycle.repository.ts';
import { settleRollout } from '../job-lifecycle.ts';
import type { Job } from '../job.schemas.ts';
import { approveJob } from './approval.ts';
import { pauseRepository } from './pause.repository.ts';
import { pauseJobs, resumeJobs } from './pause.ts';
import { retryJob, type RetryChanges } from './retry/retry.ts';

interface ControlDependencies {
  db: Database;
  producer: JobProducer;
  quotas: QuotaLimits;
}

/** What is done to a job whose rollout's row is locked. */
type Step = (tx: Transaction, rolloutState: string) => Promise<ChangedJob | null>;

/** States of a rollout whose jobs are about to be cancelled. */
const STOPPED: readonly string[] = ['cancelled', 'failed'];

/** Pauses, resumes, approves and retries single jobs, which the caller has found among those that it may see. */
export function createJobControl({ db, producer, quotas }: ControlDependencies) {
  /**
   * Runs a step in a transaction that locks the rollout, so that it cannot be paused or ended meanwhile. It is not confined to the
   * tenant, who may neither lock rollouts nor write to the outbox; the job was found in the confined database.
   */
  const change = (
    job: Job,
    recordChange: RecordChange,
    step: Step,
    more: { before: object; after: object } = { before: {}, after: {} },
  ): Promise<ChangedJob | null> =>
    withTransaction(unconfined(db), async (tx) => {
      const rolloutState = await jobLifecycleRepository.lockRollout(tx, job.rollout_id);
      const changed = await step(tx, rolloutState);
      if (changed === null) return null;
      const { tenant_id: tenantId, id: subjectId } = changed;
      const [before, after] = [
        { state: changed.old_state, ...more.before },
        { state: changed.state, ...more.after },
      ];
      await recordChange(tx, { tenantId, subjectId, before, after });
      return changed;
    });

  return {
    /** Pausing a paused job changes nothing, except that it stays paused when its rollout is resumed. @throws AppError 409 */
    async pause(job: Job, recordChange: RecordChange): Promise<void> {
      let entries: JobEntry[] = [];
      const changed = await change(job, recordChange, async (tx) => {
        const [paused] = await pauseJobs(tx, { jobIds: [job.id], rolloutId: job.rollout_id });
        if (paused !== undefined) {
          // Its wave does not wait for it, and another job is admitted.
          entries = await settleRollout(tx, job.rollout_id);
          return paused;
        }
        const now = await stateOf(tx, job.id);
        if (now.state !== 'paused') throw cannot('paused', job.id, now);
        await pauseRepository.keepPaused(tx, [job.id]);
        return null;
      });
      if (changed?.old_state === 'queued') await producer.remove('adaptations', [job.id]);
      await producer.enqueueAfterCommit(entries);
    },

    /** Resuming a job that is not paused changes nothing. @throws AppError 409 `job_ended` or `rollout_paused` */
    async resume(job: Job, recordChange: RecordChange): Promise<void> {
      let entries: JobEntry[] = [];
      await change(job, recordChange, async (tx, rolloutState) => {
        const now = await stateOf(tx, job.id);
        if (now.ended) throw cannot('resumed', job.id, now);
        if (now.state !== 'paused') return null;
        if (rolloutState === 'paused') {
          throw conflict('rollout_paused', `job ${job.id} cannot be resumed: its rollout is paused, resume that`);
        }
        const resumed = await resumeJobs(tx, { jobIds: [job.id], rolloutId: job.rollout_id });
        entries = resumed.entries;
        return resumed.jobs[0] ?? null;
      });
      await producer.enqueueAfterCommit(entries);
    },

    /** Approving a job that waits for no approval changes nothing. @throws AppError 409 `job_ended` or `rollout_ended` */
    async approve(job: Job, recordChange: RecordChange): Promise<void> {
      let entries: JobEntry[] = [];
      const step: Step = async (tx, rolloutState) => {
        const now = await stateOf(tx, job.id);
        if (now.ended) throw cannot('approved', job.id, now);
        if (STOPPED.includes(rolloutState)) {
          throw conflict('rollout_ended', `job ${job.id} cannot be approved: its rollout is ${rolloutState}`);
        }
        const approved = await approveJob(tx, { id: job.id, rolloutId: job.rollout_id });
        entries = approved?.entries ?? [];
        return approved?.job ?? null;
      };
      await change(job, recordChange, step, { before: { approval: 'awaited' }, after: { approval: 'given' } });
      await producer.enqueueAfterCommit(entries);
    },

    /** @throws AppError 403 `quota_exceeded`, 409 and 422 as {@link retryJob} says */
    async retry(job: Job, changes: RetryChanges, recordChange: RecordChange): Promise<void> {
      let entries: JobEntry[] = [];
      const { options } = changes;
      const record: RecordChange = (tx, { after, ...entry }) =>
        recordChange(tx, { ...entry, after: { ...after, ...(options && { own_options: options }) } });
      await change(job, record, async (tx, rolloutState) => {
        await requireRoom(tx, job.tenant_id);
        const retried = await retryJob(tx, { id: job.id, rolloutId: job.rollout_id, rolloutState, ...changes });
        entries = retried.entries;
        return retried.job;
      });
      await producer.enqueueAfterCommit(entries);
    },
  };

  async function requireRoom(tx: Transaction, tenantId: string): Promise<void> {
    const room = (await createJobRooms({ db, defaults: quotas }).rooms(tx, [tenantId])).get(tenantId);
    if (room === undefined || room.jobs > 0) return;
    const { message, ...details } = room.refusal;
    throw new AppError({ code: 'quota_exceeded', status: 403, message, details: { ...details } });
  }
}

async function stateOf(tx: Transaction, jobId: string): Promise<{ state: string; ended: boolean }> {
  const job = await jobLifecycleRepository.stateOf(tx, jobId);
  return { state: job.state, ended: job.finishedAt !== null };
}

function cannot(
  what: 'paused' | 'resumed' | 'approved',
  jobId: string,
  { state, ended }: { state: string; ended: boolean },
): AppError {
  if (ended) return conflict('job_ended', `job ${jobId} cannot be ${what}: it has ended and is ${state}`);
  return conflict('job_ready', `job ${jobId} cannot be ${what}: it is ready, and only refined; cancel it to end that`);
}
