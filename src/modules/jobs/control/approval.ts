import type { JobEntry } from '../../../jobs/catalog.ts';
import { writeOutbox } from '../../../jobs/outbox.repository.ts';
import type { Transaction } from '../../../lib/database.ts';
import { recordEvent } from '../../events/index.ts';
import { toEntry } from '../job-entries.ts';
import type { ChangedJob } from '../job-lifecycle.repository.ts';
import { recordJobChanges } from '../job-lifecycle.ts';
import { approvalRepository } from './approval.repository.ts';

/**
 * Approves a job that waits for its tenant, with its events. The rollout's row must be locked. After the commit the caller enqueues
 * `entries`, which are none where something else still holds the job. Null if no approval is awaited.
 */
export async function approveJob(
  tx: Transaction,
  id: string,
): Promise<{ job: ChangedJob; entries: JobEntry[] } | null> {
  const job = await approvalRepository.give(tx, id);
  if (job === null) return null;
  const { tenant_id: tenantId, rollout_id: rolloutId, adapter_id: adapterId } = job;
  const data = { rollout_id: rolloutId, adapter_id: adapterId };
  await recordEvent(tx, { tenantId, type: 'job.approved', subjectId: id, data });
  const entries = job.state === 'queued' ? [toEntry(job)] : [];
  await writeOutbox(tx, entries);
  await recordJobChanges(tx, [job]);
  return { job, entries };
}
