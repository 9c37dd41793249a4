import { Prisma, type Transaction } from '../../../lib/database.ts';
import { ACCRUE, CLOCK } from '../job-clock.ts';
import { RETURNED, type ChangedJob } from '../job-lifecycle.repository.ts';

/** Whether nothing but its approval holds the job `j` of the rollout `r`: its wave has begun, and neither of them is paused. */
const FREE = Prisma.sql`(j.state = 'held' AND COALESCE(j.wave, 1) <= r.wave AND r.state <> 'paused')`;

export const approvalRepository = {
  /** Writes the approval of a job that waits for one, and puts the job into the queue if nothing else holds it. Null if it waits for none. */
  async give(tx: Transaction, jobId: string): Promise<ChangedJob | null> {
    const [job] = await tx.$queryRaw<ChangedJob[]>`
      ${CLOCK}
      UPDATE jobs j SET ${ACCRUE}, approval = 'given', state = CASE WHEN ${FREE} THEN 'queued' ELSE j.state END,
        phase = CASE WHEN ${FREE} THEN 'queue_wait' ELSE j.phase END, updated_at = clock.now
      FROM clock, (SELECT id, state FROM jobs WHERE id = ${jobId} FOR NO KEY UPDATE) AS old, rollouts r
      WHERE j.id = old.id AND r.id = j.rollout_id AND j.approval = 'awaited' AND j.finished_at IS NULL
      RETURNING ${RETURNED}`;
    return job ?? null;
  },
};
