import type { QueueEntry } from '../../../platform/queue/catalog.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import { type ChangedJob, recordJobChanges } from '../../jobs/index.ts';
import { lockStartTags, queueJobs } from '../order/admission.ts';
import {
  jobSuccessionRepository as repository,
  type OlderJobs,
  type RunningJobs,
} from './job-succession.repository.ts';

export interface Supersession extends OlderJobs {
  /** Identifier of the rollout that takes the adapters. */
  readonly by: string;
  readonly running: RunningJobs;
}

export interface Superseded {
  /** Identifiers of ended jobs whose entries have to be removed from the queue. */
  readonly queued: readonly string[];
  /** Identifiers of the adapters whose adaptations in older rollouts were ended by this call. */
  readonly adapterIds: ReadonlySet<string>;
  /**
   * Identifier of the adapter's unfinished job in an older rollout, by adapter. The adapter's new job has to wait for
   * it.
   */
  readonly waitsFor: ReadonlyMap<string, string>;
  /** Identifiers of the older rollouts that had jobs ended, or that have unfinished jobs for which new jobs wait. */
  readonly rolloutIds: ReadonlySet<string>;
}

/**
 * Ends the jobs of the given adapters in older rollouts. Jobs that no worker has claimed are always ended; jobs that a
 * worker has claimed are ended only if the policy of the newer rollout says `stop`. The rows of all these rollouts must
 * be locked. The caller has to bring the changed rollouts up to date.
 */
export async function supersedeJobs(tx: Transaction, { by, running, ...older }: Supersession): Promise<Superseded> {
  if (older.rolloutIds.length === 0 || older.adapterIds.length === 0) return NOTHING;
  const message = `rollout ${by} carries the adapter over to a newer base model version`;
  const jobs = await repository.supersede(tx, older, running, { code: 'superseded', message, rollout_id: by });
  await recordJobChanges(tx, jobs, { reason: 'superseded', superseded_by: by });
  const rolloutIds = new Set(jobs.map((job) => job.rollout_id));
  const unfinished = await repository.unfinished(tx, older);
  for (const job of unfinished) rolloutIds.add(job.rollout_id);
  return {
    queued: jobs.filter((job) => job.old_state === 'queued').map((job) => job.id),
    adapterIds: new Set(jobs.filter((job) => job.kind === 'adaptation').map((job) => job.adapter_id)),
    waitsFor: new Map(unfinished.map((job) => [job.adapter_id, job.id])),
    rolloutIds,
  };
}

const NOTHING: Superseded = {
  queued: [],
  adapterIds: new Set(),
  waitsFor: new Map(),
  rolloutIds: new Set(),
};

/**
 * Releases up to `limit` jobs of a rollout that waited for other jobs, if those have ended or no longer exist, and
 * records the events. The rollout must be running and its row locked. After the commit the caller has to enqueue
 * `entries`.
 */
export async function releaseJobs(
  tx: Transaction,
  rolloutId: string,
  limit: number,
): Promise<{ jobs: ChangedJob[]; entries: QueueEntry[] }> {
  await lockStartTags(tx);
  const jobs = await repository.release(tx, rolloutId, limit);
  jobs.sort((a, b) => (a.id < b.id ? -1 : 1));
  await recordJobChanges(tx, jobs);
  return { jobs, entries: await queueJobs(tx, rolloutId, jobs) };
}
