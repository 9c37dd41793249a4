import { Prisma, type Queryable } from '../../../platform/database/database.ts';
import type { Likeness } from './likeness.ts';
import type { MeasuredJob } from './predict.ts';

/**
 * Limits on the earlier jobs that a prediction reads: the jobs of the newest `ROLLOUTS` rollouts, and of each rollout
 * only the `JOBS` jobs that ended last.
 */
const ROLLOUTS = 20;
const JOBS = 500;

/** Description of the jobs whose times are to be predicted from earlier jobs. */
export interface WantedJobs {
  readonly oldBaseModelVersionId: string;
  readonly newBaseModelVersionId: string;
  readonly kind: 'adaptation' | 'control';
  /** Strategy with which the rollout asks for the jobs, such as `auto`. */
  readonly strategy: string;
  /** Mean number of rows of the datasets of the jobs' adapters. */
  readonly rows: number;
}

export const historyRepository = {
  /**
   * Reads the times of earlier jobs that resemble the wanted jobs and that ended as ready or not ready. Controls are
   * predicted from controls and from adaptations that train from scratch, because both take equally long. Times of jobs
   * of other base models are scaled by the number of parameters and of rows. The device time of a job is the time for
   * which the job's lease was held.
   */
  jobs: (db: Queryable, wanted: WantedJobs, likeness: Likeness): Promise<MeasuredJob[]> =>
    db.$queryRaw<MeasuredJob[]>`
      SELECT r.id AS "rolloutId", use.ms * scale.factor AS "deviceMs",
        LEAST(use.ms, (EXTRACT(EPOCH FROM j.ready_at - j.started_at) * 1000)::float8) * scale.factor AS "readyMs"
      FROM base_model_versions new_base
      CROSS JOIN LATERAL (
        SELECT r.id, v.parameters FROM rollouts r JOIN base_model_versions v ON v.id = r.base_model_version_id
        WHERE ${ofRollouts(likeness)} ORDER BY r.id DESC LIMIT ${ROLLOUTS}
      ) AS r
      CROSS JOIN LATERAL (
        SELECT j.id, j.adapter_id, j.started_at, j.ready_at FROM jobs j
        WHERE j.rollout_id = r.id AND (j.kind = 'adaptation' OR ${wanted.kind === 'control'}) AND j.state IN ('ready',
          'not_ready')
          AND j.finished_at IS NOT NULL AND j.started_at IS NOT NULL AND j.strategy = ${wanted.strategy}
          ${likeness === 'pair' ? from(wanted.oldBaseModelVersionId) : Prisma.empty}
        ORDER BY j.finished_at DESC, j.id DESC LIMIT ${JOBS}
      ) AS j
      CROSS JOIN LATERAL (
        SELECT (sum(EXTRACT(EPOCH FROM u.ended_at - u.started_at)) * 1000)::float8 AS ms FROM device_uses u
          WHERE u.job_id = j.id
      ) AS use
      CROSS JOIN LATERAL (SELECT ${likeness === 'size' ? scaledTo(wanted.rows) : Prisma.sql`1::float8`} AS factor) AS
        scale
      WHERE new_base.id = ${wanted.newBaseModelVersionId} AND use.ms IS NOT NULL AND scale.factor IS NOT NULL
      ORDER BY r.id, j.id`,
};

function ofRollouts(likeness: Likeness): Prisma.Sql {
  if (likeness === 'pair') return Prisma.sql`r.base_model_version_id = new_base.id`;
  if (likeness === 'base_model') return Prisma.sql`v.base_model_id = new_base.base_model_id`;
  return Prisma.sql`v.base_model_id <> new_base.base_model_id AND v.parameters > 0`;
}

/** Makes the SQL condition that a job carries an adapter over from the given base model version. */
function from(oldBaseModelVersionId: string): Prisma.Sql {
  return Prisma.sql`AND EXISTS (
    SELECT FROM adapter_versions s WHERE s.id = j.source_version_id
      AND s.base_model_version_id = ${oldBaseModelVersionId})`;
}

/**
 * Makes the SQL for the factor by which a measured job's time is multiplied: the product of parameters and rows of the
 * wanted jobs, divided by the same product of the measured job. Null if the number of parameters or rows is unknown.
 */
function scaledTo(rows: number): Prisma.Sql {
  return Prisma.sql`(
    SELECT new_base.parameters::float8 / r.parameters::float8 * ${rows}::float8 / NULLIF(d.rows, 0)
    FROM adapters a JOIN datasets d ON d.id = a.dataset_id WHERE a.id = j.adapter_id)`;
}
