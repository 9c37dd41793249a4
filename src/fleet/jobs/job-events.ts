import { recordEvent, recordEvents, type NewEvent } from '../../delivery/events/index.ts';
import type { Prisma, Transaction } from '../../platform/database/database.ts';
import type { ChangedJob } from './changed-job.ts';

/** Records one event for each of the jobs whose state has changed. */
export async function recordJobChanges(
  tx: Transaction,
  jobs: readonly ChangedJob[],
  more: Prisma.InputJsonObject = {},
): Promise<void> {
  await recordEvents(
    tx,
    jobs.filter((job) => job.state !== job.old_state).map((job) => eventOf(job, more)),
  );
}

/** Records the event of a job's new state, if the state has changed. */
export async function recordJobChange(
  tx: Transaction,
  job: ChangedJob,
  more: Prisma.InputJsonObject = {},
): Promise<void> {
  if (job.state !== job.old_state) await recordEvent(tx, eventOf(job, more));
}

function eventOf(job: ChangedJob, more: Prisma.InputJsonObject): NewEvent {
  return {
    tenantId: job.tenant_id,
    type: `job.${job.state}`,
    subjectId: job.id,
    data: {
      from: job.old_state,
      rollout_id: job.rollout_id,
      adapter_id: job.adapter_id,
      kind: job.kind,
      attempt: job.attempt,
      ...more,
    },
  };
}
