import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import type { JobRooms } from '../../../tenants/quotas/index.ts';
import { keepPaused, pauseJobs, resumeJobs, settleRollout } from '../../rollouts/index.ts';
import { beginAnew, judgeRetries, type RetryChanges } from '../retry/retry.ts';
import { type ChangedJob, cancelJobs } from '../../jobs/index.ts';
import type { BulkJobAction, SelectedJob } from './by-filter.repository.ts';

/** Batch of jobs of one rollout to which an action is applied. The rows of the jobs and of the rollout are locked. */
export interface LockedPage {
  readonly rolloutId: string;
  readonly rolloutState: string;
  readonly jobs: readonly SelectedJob[];
}

/** Changes to the queue that an action on jobs needs after its commit. */
export interface QueueChanges {
  readonly entries: readonly QueueEntry[];
  /** Identifiers of jobs whose entries have to be removed from the queue. */
  readonly removed: readonly string[];
}

/**
 * Result of judging a batch of jobs: an error code for each job that the action must leave as it is, and a function
 * that applies the action to the others.
 */
interface JudgedPage {
  /**
   * Error code for each job that is left as it is, by the job's identifier. The same action on the single job would
   * fail with this code.
   */
  readonly left: ReadonlyMap<string, string>;
  change(ids: readonly string[]): Promise<QueueChanges>;
}

/** Function that judges which jobs of a batch an action may change. It changes nothing itself. */
export type Action = (tx: Transaction, page: LockedPage) => Promise<JudgedPage>;

const NONE: ReadonlyMap<string, string> = new Map();

const allWith = (jobs: readonly SelectedJob[], code: string) => new Map(jobs.map(({ id }) => [id, code]));

const queuedOf = (jobs: readonly ChangedJob[]) => jobs.filter((job) => job.old_state === 'queued').map(({ id }) => id);

const pause: Action = (tx, { rolloutId, jobs }) => {
  const change = async (jobIds: readonly string[]): Promise<QueueChanges> => {
    await keepPaused(tx, jobIds);
    const paused = await pauseJobs(tx, { rolloutId, jobIds });
    // A wave does not wait for paused jobs, and other jobs are admitted in their place.
    return { entries: await settleRollout(tx, rolloutId), removed: queuedOf(paused) };
  };
  const ready = jobs.filter(({ state }) => state === 'ready');
  return Promise.resolve({ left: allWith(ready, 'job_ready'), change });
};

const resume: Action = (tx, { rolloutId, rolloutState, jobs }) => {
  const change = async (jobIds: readonly string[]): Promise<QueueChanges> => {
    const { entries } = await resumeJobs(tx, { rolloutId, jobIds });
    return { entries, removed: [] };
  };
  return Promise.resolve({ left: rolloutState === 'paused' ? allWith(jobs, 'rollout_paused') : NONE, change });
};

const cancel: Action = (tx, { rolloutId }) => {
  const change = async (jobIds: readonly string[]): Promise<QueueChanges> => {
    const { jobs } = await cancelJobs(tx, { jobIds });
    return { entries: await settleRollout(tx, rolloutId), removed: queuedOf(jobs) };
  };
  return Promise.resolve({ left: NONE, change });
};

interface RetryDependencies {
  readonly changes: RetryChanges;
  readonly jobRooms: JobRooms;
  /**
   * Whether the request only asks what would happen. Earlier batches of jobs are then not retried and take up no quota
   * in the database, so the action itself counts them against the quotas.
   */
  readonly isDryRun: boolean;
}

/**
 * Creates the action that retries jobs, in the order of their identifiers and as far as the quotas of their tenants
 * allow.
 */
function retryOf({ changes, jobRooms, isDryRun }: RetryDependencies): Action {
  const counted = new Map<string, number>();
  return async (tx, { rolloutId, rolloutState, jobs }) => {
    const ids = jobs.map(({ id }) => id);
    const { refused, kept } = await judgeRetries(tx, ids, { rolloutId, rolloutState, ...changes });
    const left = new Map([...refused].map(([id, { code }]) => [id, code]));
    const allowed = jobs.filter(({ id }) => !left.has(id));
    const rooms = await jobRooms.rooms(tx, [...new Set(allowed.map((job) => job.tenant_id))]);
    const taken = isDryRun ? counted : new Map<string, number>();
    for (const { id, tenant_id: tenantId } of allowed) {
      const before = taken.get(tenantId) ?? 0;
      if (before >= (rooms.get(tenantId)?.jobs ?? Infinity)) left.set(id, 'quota_exceeded');
      else taken.set(tenantId, before + 1);
    }
    const change = async (retried: readonly string[]): Promise<QueueChanges> => {
      const { entries } = await beginAnew(tx, retried, { rolloutId, rolloutState, kept });
      return { entries, removed: [] };
    };
    return { left, change };
  };
}

export function actionOf(name: BulkJobAction, retry: RetryDependencies): Action {
  return { pause, resume, cancel, retry: retryOf(retry) }[name];
}
