import { Prisma } from '../../../platform/database/database.ts';

/** What keeps a job of the rollout `r` from the queue although nobody has paused it. */
type Reason = 'wave' | 'approval' | 'job';

/** @param job the alias of a job */
const REASONS: Readonly<Record<Reason, (job: Prisma.Sql) => Prisma.Sql>> = {
  wave: (job) => Prisma.sql`COALESCE(${job}.wave > r.wave, FALSE)`,
  approval: (job) => Prisma.sql`${job}.approval IS NOT DISTINCT FROM 'awaited'`,
  job: (job) => Prisma.sql`EXISTS (SELECT 1 FROM job_waits w WHERE w.job_id = ${job}.id)`,
};

/**
 * Whether a job of the rollout `r` has to wait for its wave, its tenant's approval, or another job.
 * @param job its alias
 * @param apartFrom a reason that does not count, because it is about to pass
 */
export function heldBack(job: Prisma.Sql, apartFrom?: Reason): Prisma.Sql {
  const reasons = (Object.keys(REASONS) as Reason[]).filter((reason) => reason !== apartFrom);
  return Prisma.sql`(${Prisma.join(
    reasons.map((reason) => REASONS[reason](job)),
    ' OR ',
  )})`;
}
