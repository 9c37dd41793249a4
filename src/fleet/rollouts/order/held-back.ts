import { Prisma } from '../../../platform/database/database.ts';

/** Reason that holds a job of the rollout `r` back from the queue, other than a pause. */
type Reason = 'wave' | 'approval' | 'job';

/**
 * Condition for each reason.
 * @param job the alias of a job
 */
const REASONS: Readonly<Record<Reason, (job: Prisma.Sql) => Prisma.Sql>> = {
  wave: (job) => Prisma.sql`COALESCE(${job}.wave > r.wave, FALSE)`,
  approval: (job) => Prisma.sql`${job}.approval IS NOT DISTINCT FROM 'awaited'`,
  job: (job) => Prisma.sql`EXISTS (SELECT 1 FROM job_waits w WHERE w.job_id = ${job}.id)`,
};

/**
 * Condition that a job of the rollout `r` has to wait for its wave, its tenant's approval, or another job.
 * @param job its alias
 * @param apartFrom a reason to ignore, because it is about to pass
 */
export function heldBack(job: Prisma.Sql, apartFrom?: Reason): Prisma.Sql {
  const reasons = (Object.keys(REASONS) as Reason[]).filter((reason) => reason !== apartFrom);
  return Prisma.sql`(${Prisma.join(
    reasons.map((reason) => REASONS[reason](job)),
    ' OR ',
  )})`;
}
