import { Prisma } from '../../../platform/database/database.ts';

/**
 * Reason, other than a pause, for which a job is kept out of the queue: its wave is not released, its tenant has not
 * approved it yet, or it waits for the end of another job.
 */
type Reason = 'wave' | 'approval' | 'job';

/**
 * SQL condition, for each reason, that a job of the rollout `r` is kept out of the queue for that reason.
 * @param job alias of the job
 */
const REASONS: Readonly<Record<Reason, (job: Prisma.Sql) => Prisma.Sql>> = {
  wave: (job) => Prisma.sql`COALESCE(${job}.wave > r.wave, FALSE)`,
  approval: (job) => Prisma.sql`${job}.approval IS NOT DISTINCT FROM 'awaited'`,
  job: (job) => Prisma.sql`EXISTS (SELECT 1 FROM job_waits w WHERE w.job_id = ${job}.id)`,
};

/**
 * Makes the SQL condition that a job of the rollout `r` is kept out of the queue by its wave, a missing approval of its
 * tenant, or another job.
 * @param job alias of the job
 * @param apartFrom reason to leave out of the condition, because it is about to end
 */
export function heldBack(job: Prisma.Sql, apartFrom?: Reason): Prisma.Sql {
  const reasons = (Object.keys(REASONS) as Reason[]).filter((reason) => reason !== apartFrom);
  return Prisma.sql`(${Prisma.join(
    reasons.map((reason) => REASONS[reason](job)),
    ' OR ',
  )})`;
}
