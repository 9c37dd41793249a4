import { Prisma, type Transaction } from '../../platform/database/database.ts';
import { heldBack, IS_LIMITED, startTagsOf } from '../rollouts/index.ts';
import { ACCRUE, CLOCK, RETURNED, type ChangedJob } from '../jobs/index.ts';

/**
 * Makes the SQL condition that a job of the rollout `r` is held only because its approval is missing: neither its wave
 * nor another job holds it, and neither the job nor the rollout is paused.
 */
function isFree(job: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`(${job}.state = 'held' AND r.state <> 'paused' AND NOT ${heldBack(job, 'approval')})`;
}

const FREE = isFree(Prisma.sql`j`);

/** SQL that selects the job `old` if its approval is all that it still needs to enter the queue. */
const APPROVED = Prisma.sql`
  SELECT o.id, o.tenant_id, o.id AS place FROM old o JOIN rollouts r ON r.id = o.rollout_id
  WHERE o.kind = 'adaptation' AND o.approval = 'awaited' AND ${isFree(Prisma.sql`o`)}`;

export const jobApprovalRepository = {
  /**
   * Stores that a tenant has approved a job. If nothing else holds the job, it is queued or, under limited concurrency,
   * waits to be admitted.
   * @returns the changed job; null if the job waits for no approval
   */
  async give(tx: Transaction, { id, rolloutId }: { id: string; rolloutId: string }): Promise<ChangedJob | null> {
    const [job] = await tx.$queryRaw<ChangedJob[]>`
      ${CLOCK},
      old AS MATERIALIZED (
        SELECT id, tenant_id, rollout_id, kind, state, wave, approval FROM jobs WHERE id = ${id} FOR NO KEY UPDATE),
      ${startTagsOf(rolloutId, APPROVED)}
      UPDATE jobs j SET ${ACCRUE}, approval = 'given', state = CASE WHEN ${FREE} THEN 'queued' ELSE j.state END,
        phase = CASE WHEN ${FREE} THEN 'queue_wait' ELSE j.phase END, start_tag = COALESCE(tags.tag, j.start_tag),
        admission = CASE WHEN ${IS_LIMITED} AND ${FREE} THEN 'waiting' ELSE j.admission END, updated_at = clock.now
      FROM clock, rollouts r, old LEFT JOIN tags ON tags.id = old.id
      WHERE j.id = old.id AND r.id = j.rollout_id AND j.approval = 'awaited' AND j.finished_at IS NULL
      RETURNING ${RETURNED}`;
    return job ?? null;
  },
};
