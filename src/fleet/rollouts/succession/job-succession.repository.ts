import { Prisma, type Queryable, type Transaction } from '../../../platform/database/database.ts';
import { heldBack } from '../order/held-back.ts';
import { ACCRUE, CLOCK, RETURNED, type ChangedJob } from '../../jobs/index.ts';
import { IS_LIMITED, startTagsOf } from '../order/start-tags.ts';

/**
 * Rule for jobs that a worker runs when a rollout to a newer version takes their adapters: the jobs run to their end
 * (`finish`) or are cancelled (`stop`).
 */
export type RunningJobs = 'finish' | 'stop';

/** Jobs of the given adapters in the given older rollouts. The rows of these rollouts must be locked. */
export interface OlderJobs {
  readonly rolloutIds: readonly string[];
  readonly adapterIds: readonly string[];
}

/** Pair of jobs of which the first may begin only when the second has ended. */
export interface JobWait {
  readonly jobId: string;
  readonly waitsForJobId: string;
}

/**
 * SQL condition that no worker has claimed the job `j`: it is queued, held or paused, or it is ready and its refinement
 * is paused.
 */
const WAITS = Prisma.sql`(j.state IN ('queued', 'held', 'paused') OR (j.state = 'ready' AND j.paused_at IS NOT NULL))`;

/**
 * Makes the SQL condition that the job `j` ends when a rollout to a newer version takes its adapter: it is unfinished,
 * and no worker has claimed it or the rule for running jobs is `stop`.
 */
export function endsWhenTaken(running: RunningJobs): Prisma.Sql {
  return Prisma.sql`j.finished_at IS NULL AND (${running === 'stop'} OR ${WAITS})`;
}

/** SQL condition that the wait `w` of one job for another is over: the other job has ended or no longer exists. */
const OVER = Prisma.sql`NOT EXISTS (SELECT 1 FROM jobs p WHERE p.id = w.waits_for_job_id AND p.finished_at IS NULL)`;

/**
 * Makes the SQL condition that a job of the rollout `r` is held only because it waits for another job. When that wait
 * ends, the job can enter the queue.
 */
function isFree(job: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`(${job}.state = 'held' AND NOT ${heldBack(job, 'job')})`;
}

/** SQL that selects, among the released jobs `old`, those that enter the queue and need a start tag. */
const RELEASED = Prisma.sql`
  SELECT o.id, o.tenant_id, o.id AS place FROM old o JOIN rollouts r ON r.id = o.rollout_id
  WHERE o.kind = 'adaptation' AND ${isFree(Prisma.sql`o`)}`;

/**
 * Updates by which jobs of a rollout take the place of jobs of older rollouts. They change only jobs whose state allows
 * it.
 */
export const jobSuccessionRepository = {
  /**
   * Cancels jobs of older rollouts whose adapters a newer rollout takes. A ready job keeps its published version, and
   * only stops being refined. One statement cancels all, so that the counts of each rollout are locked after its jobs.
   */
  supersede: (
    tx: Transaction,
    { rolloutIds, adapterIds }: OlderJobs,
    running: RunningJobs,
    error: Prisma.InputJsonObject,
  ): Promise<ChangedJob[]> =>
    tx.$queryRaw<ChangedJob[]>`
      ${CLOCK}
      UPDATE jobs j SET ${ACCRUE},
        state = CASE WHEN j.state = 'ready' THEN j.state ELSE 'cancelled' END,
        error = CASE WHEN j.state = 'ready' THEN j.error ELSE ${JSON.stringify(error)}::jsonb END,
        finished_at = clock.now, lease_owner = NULL, lease_expires_at = NULL, paused_at = NULL, paused_by = NULL,
          admission = NULL,
        updated_at = clock.now
      FROM clock, (
        SELECT j.id, j.state FROM jobs j
        WHERE j.rollout_id = ANY(${[...rolloutIds]}::text[]) AND j.adapter_id = ANY(${[...adapterIds]}::text[])
          AND ${endsWhenTaken(running)}
        ORDER BY j.id FOR NO KEY UPDATE
      ) AS old
      WHERE j.id = old.id
      RETURNING ${RETURNED}`,

  /**
   * Finds the unfinished adaptation of each adapter in the given rollouts. If an adapter has several, the one to the
   * newest base model version is found.
   */
  unfinished: (tx: Transaction, { rolloutIds, adapterIds }: OlderJobs) =>
    tx.$queryRaw<{ adapter_id: string; id: string; rollout_id: string }[]>`
      SELECT DISTINCT ON (j.adapter_id) j.adapter_id, j.id, j.rollout_id FROM jobs j JOIN rollouts r
        ON r.id = j.rollout_id
      WHERE j.rollout_id = ANY(${[...rolloutIds]}::text[]) AND j.adapter_id = ANY(${[...adapterIds]}::text[])
        AND j.kind = 'adaptation' AND j.finished_at IS NULL
      ORDER BY j.adapter_id, r.base_model_version_id DESC, j.id DESC`,

  /** Stores for which job each of the newly planned jobs has to wait. */
  wait: (tx: Transaction, waits: readonly JobWait[]) =>
    tx.$executeRaw`
      INSERT INTO job_waits (job_id, tenant_id, rollout_id, waits_for_job_id)
      SELECT j.id, j.tenant_id, j.rollout_id, w.waits_for_job_id
      FROM unnest(${waits.map(({ jobId }) => jobId)}::text[], ${waits.map((wait) => wait.waitsForJobId)}::text[])
        AS w (job_id, waits_for_job_id)
      JOIN jobs j ON j.id = w.job_id AND j.finished_at IS NULL`,

  /**
   * Releases up to `limit` jobs of a rollout that waited for other jobs, if those have ended or no longer exist. Each
   * released job starts from the latest version of its adapter, and is queued unless its wave or a missing approval
   * holds it or it is paused.
   */
  async release(tx: Transaction, rolloutId: string, limit: number): Promise<ChangedJob[]> {
    const jobs = await tx.$queryRaw<ChangedJob[]>`
      ${CLOCK},
      old AS MATERIALIZED (
        SELECT j.id, j.tenant_id, j.rollout_id, j.kind, j.state, j.wave, j.approval FROM job_waits w
          JOIN jobs j ON j.id = w.job_id
        WHERE w.rollout_id = ${rolloutId} AND j.finished_at IS NULL AND ${OVER}
        ORDER BY j.id LIMIT ${limit} FOR NO KEY UPDATE OF j),
      ${startTagsOf(rolloutId, RELEASED)}
      UPDATE jobs j SET ${ACCRUE},
        source_version_id = COALESCE((
          SELECT newest.id FROM (
            SELECT v.id, v.base_model_version_id FROM adapter_versions v
            WHERE v.adapter_id = j.adapter_id AND NOT v.superseded AND v.deleted_at IS NULL
            ORDER BY v.number DESC LIMIT 1
          ) AS newest WHERE newest.base_model_version_id <> r.base_model_version_id), j.source_version_id),
        state = CASE WHEN ${isFree(Prisma.sql`j`)} THEN 'queued' ELSE j.state END,
        phase = CASE WHEN ${isFree(Prisma.sql`j`)} THEN 'queue_wait' ELSE j.phase END,
        start_tag = COALESCE(tags.tag, j.start_tag),
        admission = CASE WHEN ${IS_LIMITED} AND ${isFree(Prisma.sql`j`)} THEN 'waiting' ELSE j.admission END,
        updated_at = clock.now
      FROM clock, rollouts r, old LEFT JOIN tags ON tags.id = old.id
      WHERE j.id = old.id AND r.id = j.rollout_id
      RETURNING ${RETURNED}`;
    await tx.$executeRaw`DELETE FROM job_waits WHERE job_id = ANY(${jobs.map(({ id }) => id)}::text[])`;
    return jobs;
  },

  /** Finds running rollouts in which a job waits for another one that has ended, no longer exists or is paused. */
  rolloutsToRelease: (db: Queryable) =>
    db.$queryRaw<{ id: string }[]>`
      SELECT DISTINCT r.id FROM job_waits w JOIN rollouts r ON r.id = w.rollout_id JOIN jobs j ON j.id = w.job_id
      WHERE r.state IN ('analyzing', 'adapting') AND j.finished_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM jobs p WHERE p.id = w.waits_for_job_id AND p.finished_at IS NULL AND p.paused_at IS NULL)`,

  /** Finds the rollouts in which a job waits for the given job. */
  rolloutsWaitingFor: (db: Queryable, jobId: string) =>
    db.$queryRaw<{ id: string }[]>`SELECT DISTINCT rollout_id AS id FROM job_waits WHERE waits_for_job_id = ${jobId}`,

  /** Finds up to `limit` adapters of a rollout whose jobs wait for a paused job of an older rollout. */
  async stalledAdapters(tx: Transaction, rolloutId: string, limit: number): Promise<string[]> {
    const rows = await tx.$queryRaw<{ adapter_id: string }[]>`
      SELECT j.adapter_id FROM job_waits w JOIN jobs j ON j.id = w.job_id
      JOIN jobs p ON p.id = w.waits_for_job_id AND p.finished_at IS NULL AND p.paused_at IS NOT NULL
      WHERE w.rollout_id = ${rolloutId} AND j.finished_at IS NULL ORDER BY j.adapter_id LIMIT ${limit}`;
    return rows.map((row) => row.adapter_id);
  },
};
