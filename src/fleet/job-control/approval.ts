import type { QueueEntry } from '../../platform/queue/catalog.ts';
import type { Transaction } from '../../platform/database/database.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { type ChangedJob, recordJobChanges } from '../jobs/index.ts';
import { lockStartTags, queueJobs } from '../rollouts/index.ts';
import { jobApprovalRepository } from './approval.repository.ts';

/**
 * Approves a job on behalf of its tenant, and records the events. The rollout's row must be locked. After the commit
 * the caller has to enqueue `entries`; the list is empty if something else still holds the job.
 * @returns null if the job waits for no approval
 */
export async function approveJob(
  tx: Transaction,
  { id, rolloutId }: { id: string; rolloutId: string },
): Promise<{ job: ChangedJob; entries: QueueEntry[] } | null> {
  await lockStartTags(tx);
  const job = await jobApprovalRepository.give(tx, { id, rolloutId });
  if (job === null) return null;
  const { tenant_id: tenantId, adapter_id: adapterId } = job;
  const data = { rollout_id: rolloutId, adapter_id: adapterId };
  await recordEvent(tx, { tenantId, type: 'job.approved', subjectId: id, data });
  await recordJobChanges(tx, [job]);
  return { job, entries: await queueJobs(tx, rolloutId, [job]) };
}
