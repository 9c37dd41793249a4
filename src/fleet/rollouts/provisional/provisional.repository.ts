import { Prisma, type Database, type Queryable, type Transaction } from '../../../platform/database/database.ts';

/** Rows of other tables that are read with a job to make a provisional version of its adapter. */
const NEEDED = {
  rollout: {
    include: { baseModelVersion: { include: { baseModel: { select: { name: true, servingProfile: true } } } } },
  },
  sourceVersion: { include: { baseModelVersion: true } },
} satisfies Prisma.JobInclude;

/** Job with the rows from which a provisional version of its adapter is made. */
export type LoadedProvision = Prisma.JobGetPayload<{ include: typeof NEEDED }>;

/**
 * SQL for the requests `p` for provisional versions in running rollouts. While a rollout is paused, its requests wait.
 */
const LIVE = Prisma.sql`
  FROM provisional_requests p JOIN rollouts r ON r.id = p.rollout_id WHERE r.state IN ('analyzing', 'adapting')`;

/**
 * SQL condition that a provisional version should still be made for the job `j`: the job has not ended, or it failed
 * for lack of a dataset, which a provisional version does not need; and its adapter is not deleted. The adapter is
 * looked up job by job, because a join may read all adapters whenever a request ends.
 */
export const WANTS_PROVISIONAL = Prisma.sql`(
  (j.finished_at IS NULL OR (j.state = 'failed' AND j.error ->> 'code' = 'dataset_missing'))
  AND (SELECT a.deleted_at IS NULL AND t.deleted_at IS NULL FROM adapters a JOIN tenants t ON t.id = a.tenant_id
    WHERE a.id = j.adapter_id))`;

/**
 * SQL condition that a provisional version should still be made for the job `j` of the rollout `r`, now or after a
 * pause of the rollout.
 */
const WANTED = Prisma.sql`${WANTS_PROVISIONAL} AND r.state IN ('analyzing', 'adapting', 'paused')`;

/**
 * Makes the SQL condition that an adapter has a provisional version for the new base of the rollout `r`, made from the
 * given version.
 */
function madeFrom(adapterId: Prisma.Sql, sourceId: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`EXISTS (
    SELECT 1 FROM adapter_versions v WHERE v.adapter_id = ${adapterId}
      AND v.base_model_version_id = r.base_model_version_id
      AND v.parent_version_id = ${sourceId} AND v.provisional AND v.deleted_at IS NULL)`;
}

export const provisionalRepository = {
  /**
   * Requests provisional versions for newly planned adaptations of a rollout whose first wave is not released. An
   * adapter that has such a version already, or whose tenant has to approve the job first, is left out.
   * @returns the identifiers of the jobs for which a version was requested, sorted
   */
  async request(tx: Transaction, rolloutId: string, jobIds: readonly string[]): Promise<string[]> {
    const rows = await tx.$queryRaw<{ job_id: string }[]>`
      INSERT INTO provisional_requests (job_id, rollout_id)
      SELECT j.id, r.id FROM rollouts r JOIN jobs j ON j.rollout_id = r.id AND j.id = ANY(${[...jobIds]}::text[])
      WHERE r.id = ${rolloutId} AND r.wave = 0 AND j.kind = 'adaptation' AND ${WANTS_PROVISIONAL}
        AND j.approval IS DISTINCT FROM 'awaited'
          AND NOT ${madeFrom(Prisma.sql`j.adapter_id`, Prisma.sql`j.source_version_id`)}
      ORDER BY j.id RETURNING job_id`;
    return rows.map((row) => row.job_id).sort();
  },

  /**
   * Finds those of the adapter versions from which a provisional version may be made and is not made yet. The set is
   * empty once the rollout's first wave is released.
   */
  async sourcesWithout(tx: Transaction, rolloutId: string, sourceIds: readonly string[]): Promise<Set<string>> {
    const rows = await tx.$queryRaw<{ id: string }[]>`
      SELECT s.id FROM rollouts r JOIN adapter_versions s ON s.id = ANY(${[...sourceIds]}::text[])
      JOIN adapters a ON a.id = s.adapter_id
      WHERE r.id = ${rolloutId} AND r.wave = 0 AND a.approval <> 'tenant'
        AND NOT ${madeFrom(Prisma.sql`s.adapter_id`, Prisma.sql`s.id`)}`;
    return new Set(rows.map(({ id }) => id));
  },

  /**
   * Counts, by tenant, the provisional versions still to be made for jobs that have ended. Versions for unfinished jobs
   * are not counted here, because an unfinished job takes a place of the quota itself.
   */
  async toMakeWithoutJob(tx: Transaction, tenantIds: readonly string[]): Promise<Map<string, number>> {
    const rows = await tx.$queryRaw<{ tenant_id: string; count: number }[]>`
      SELECT j.tenant_id, count(*)::int AS count FROM provisional_requests p JOIN jobs j ON j.id = p.job_id
      WHERE j.tenant_id = ANY(${[...tenantIds]}::text[]) AND j.finished_at IS NOT NULL AND ${WANTS_PROVISIONAL}
      GROUP BY j.tenant_id`;
    return new Map(rows.map((row) => [row.tenant_id, row.count]));
  },

  /** Reads the job for which a provisional version was requested; null if there is no such request. */
  load: (db: Queryable, jobId: string): Promise<LoadedProvision | null> =>
    db.job.findFirst({ where: { id: jobId, provisionalRequest: { isNot: null } }, include: NEEDED }),

  /**
   * Tells what to do about a requested provisional version: make it now (`wanted`), make it after the rollout's pause
   * (`paused`), or not at all (`over`).
   */
  async standing(db: Queryable, jobId: string): Promise<'wanted' | 'paused' | 'over'> {
    const [row] = await db.$queryRaw<{ standing: 'wanted' | 'paused' | 'over' }[]>`
      SELECT CASE WHEN NOT COALESCE(${WANTED}, FALSE) THEN 'over' WHEN r.state = 'paused' THEN 'paused'
        ELSE 'wanted' END AS standing
      FROM provisional_requests p JOIN jobs j ON j.id = p.job_id JOIN rollouts r ON r.id = p.rollout_id
        WHERE p.job_id = ${jobId}`;
    return row?.standing ?? 'over';
  },

  /**
   * Counts the start of an attempt to make a provisional version.
   * @returns the number of the attempt; null if the request was fulfilled or dropped
   */
  async begin(db: Queryable, jobId: string): Promise<number | null> {
    const [row] = await db.$queryRaw<{ attempt: number }[]>`
      UPDATE provisional_requests SET attempt = attempt + 1 WHERE job_id = ${jobId} RETURNING attempt`;
    return row?.attempt ?? null;
  },

  /** Takes the last attempt to make a provisional version out of the count. */
  excuse: (db: Queryable, jobId: string) =>
    db.$executeRaw`UPDATE provisional_requests SET attempt = attempt - 1 WHERE job_id = ${jobId}`,

  /**
   * Deletes a request for a provisional version.
   * @returns whether the version should still be made; null if another process has deleted the request
   */
  async end(tx: Transaction, jobId: string): Promise<{ wanted: boolean } | null> {
    const [row] = await tx.$queryRaw<{ wanted: boolean }[]>`
      DELETE FROM provisional_requests p USING jobs j, rollouts r
      WHERE p.job_id = ${jobId} AND j.id = p.job_id AND r.id = p.rollout_id
      RETURNING COALESCE(${WANTED}, FALSE) AS wanted`;
    return row ?? null;
  },

  async count(db: Queryable): Promise<number> {
    const [row] = await db.$queryRaw<{ count: number }[]>`SELECT count(*)::int AS count ${LIVE}`;
    return row?.count ?? 0;
  },

  live: (db: Database, after: string, limit: number) =>
    db.$queryRaw<{ id: string }[]>`
      SELECT p.job_id AS id ${LIVE} AND p.job_id > ${after} ORDER BY p.job_id LIMIT ${limit}`,
};
