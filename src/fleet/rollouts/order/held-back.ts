import { Prisma } from '../../../platform/database/database.ts';

/** Reason, other than a pause, that keeps a job of the rollout `r` out of the queue. */
type Reason = 'wave' | 'approval' | 'job';

/**
 * Condition for each reason.
 * @param job alias of the job
 */
const REASONS: Readonly<Record<Reason, (job: Prisma.Sql) => Prisma.Sql>> = {
  wave: (job) => Prisma.sql`COALESCE(${job}.wave > r.wave, FALSE)`,
  approval: (job) => Prisma.sql`${job}.approval IS NOT DISTINCT FROM 'awaited'`,
  job: (job) => Prisma.sql`EXISTS (SELECT 1 FROM job_waits w WHERE w.job_id = ${job}.id)`,
};

/**
 * Condition that a job of the rollout `r` has to wait for its wave, its tenant's approval, or another job.
 * @param job alias of the job
 * @param apartFrom reason to ignore, because it is about to end
 */
export function heldBack(job: Prisma.Sql, apartFrom?: Reason): Prisma.Sql {
  const reasons = (Object.keys(REASONS) as Reason[]).filter((reason) => reason !== apartFrom);
  return Prisma.sql`(${Prisma.join(
    reasons.map((reason) => REASONS[reason](job)),
    ' OR ',
  )})`;
}
