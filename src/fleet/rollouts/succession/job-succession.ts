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
  /** Superseded jobs that were in the queue. */
  readonly queued: readonly string[];
  /** Adapters whose adaptations have ended. */
  readonly adapterIds: ReadonlySet<string>;
  /** Unfinished job of each adapter in an older rollout. */
  readonly waitsFor: ReadonlyMap<string, string>;
  /** Older rollouts that have changed. */
  readonly rolloutIds: ReadonlySet<string>;
}

/**
 * Ends the older rollouts' jobs of these adapters: always those that no worker runs, and running ones if the policy
 * says `stop`. The rows of all these rollouts must be locked. The caller settles the changed rollouts.
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
 * Releases up to a number of jobs of a rollout that no longer wait for others. The rollout must be running and its row
 * locked. After the commit the caller enqueues `entries`.
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
