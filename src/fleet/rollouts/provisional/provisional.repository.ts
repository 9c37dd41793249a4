import { Prisma, type Database, type Queryable, type Transaction } from '../../../platform/database/database.ts';

/** Related rows needed to make a provisional version. */
const NEEDED = {
  rollout: {
    include: { baseModelVersion: { include: { baseModel: { select: { name: true, servingProfile: true } } } } },
  },
  sourceVersion: { include: { baseModelVersion: true } },
} satisfies Prisma.JobInclude;

/** Job whose adapter is to get a provisional version. */
export type LoadedProvision = Prisma.JobGetPayload<{ include: typeof NEEDED }>;

/** SQL for requests `p` of running rollouts. Requests of paused rollouts wait. */
const LIVE = Prisma.sql`
  FROM provisional_requests p JOIN rollouts r ON r.id = p.rollout_id WHERE r.state IN ('analyzing', 'adapting')`;

/**
 * Condition that a job `j` wants a provisional version of its adapter, and the adapter exists. The job has not ended,
 * or it failed for lack of rows, which a provisional version does not need. The adapter is looked up job by job,
 * because a join may read all adapters whenever a request ends.
 */
export const WANTS_PROVISIONAL = Prisma.sql`(
  (j.finished_at IS NULL OR (j.state = 'failed' AND j.error ->> 'code' = 'dataset_missing'))
  AND (SELECT a.deleted_at IS NULL AND t.deleted_at IS NULL FROM adapters a JOIN tenants t ON t.id = a.tenant_id
    WHERE a.id = j.adapter_id))`;

/** Condition that the job `j` of the rollout `r` wants a provisional version, now or after its pause. */
const WANTED = Prisma.sql`${WANTS_PROVISIONAL} AND r.state IN ('analyzing', 'adapting', 'paused')`;

/**
 * Condition that an adapter has a provisional version for the base of the rollout `r`, made from the given source
 * version.
 */
function madeFrom(adapterId: Prisma.Sql, sourceId: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`EXISTS (
    SELECT 1 FROM adapter_versions v WHERE v.adapter_id = ${adapterId}
      AND v.base_model_version_id = r.base_model_version_id
      AND v.parent_version_id = ${sourceId} AND v.provisional AND v.deleted_at IS NULL)`;
}

export const provisionalRepository = {
  /**
   * Requests provisional versions for newly planned jobs that wait for the first wave, unless their adapters have one
   * already or their tenants want to approve changes first.
   * @returns the jobs with a request
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

  /** Source versions that need a provisional version, including the sources of failed jobs; none after wave 0. */
  async sourcesWithout(tx: Transaction, rolloutId: string, sourceIds: readonly string[]): Promise<Set<string>> {
    const rows = await tx.$queryRaw<{ id: string }[]>`
      SELECT s.id FROM rollouts r JOIN adapter_versions s ON s.id = ANY(${[...sourceIds]}::text[])
      JOIN adapters a ON a.id = s.adapter_id
      WHERE r.id = ${rolloutId} AND r.wave = 0 AND a.approval <> 'tenant'
        AND NOT ${madeFrom(Prisma.sql`s.adapter_id`, Prisma.sql`s.id`)}`;
    return new Set(rows.map(({ id }) => id));
  },

  /**
   * Number of wanted versions whose jobs have ended, by tenant. If the job has not ended, the version counts with the
   * job.
   */
  async toMakeWithoutJob(tx: Transaction, tenantIds: readonly string[]): Promise<Map<string, number>> {
    const rows = await tx.$queryRaw<{ tenant_id: string; count: number }[]>`
      SELECT j.tenant_id, count(*)::int AS count FROM provisional_requests p JOIN jobs j ON j.id = p.job_id
      WHERE j.tenant_id = ANY(${[...tenantIds]}::text[]) AND j.finished_at IS NOT NULL AND ${WANTS_PROVISIONAL}
      GROUP BY j.tenant_id`;
    return new Map(rows.map((row) => [row.tenant_id, row.count]));
  },

  /** Job of a request; null if there is no such request. */
  load: (db: Queryable, jobId: string): Promise<LoadedProvision | null> =>
    db.job.findFirst({ where: { id: jobId, provisionalRequest: { isNot: null } }, include: NEEDED }),

  /** Standing of a request: make its version now, after the rollout's pause, or not at all. */
  async standing(db: Queryable, jobId: string): Promise<'wanted' | 'paused' | 'over'> {
    const [row] = await db.$queryRaw<{ standing: 'wanted' | 'paused' | 'over' }[]>`
      SELECT CASE WHEN NOT COALESCE(${WANTED}, FALSE) THEN 'over' WHEN r.state = 'paused' THEN 'paused'
        ELSE 'wanted' END AS standing
      FROM provisional_requests p JOIN jobs j ON j.id = p.job_id JOIN rollouts r ON r.id = p.rollout_id
        WHERE p.job_id = ${jobId}`;
    return row?.standing ?? 'over';
  },

  /**
   * Counts the start of an attempt.
   * @returns the number of attempts; null if the request has ended
   */
  async begin(db: Queryable, jobId: string): Promise<number | null> {
    const [row] = await db.$queryRaw<{ attempt: number }[]>`
      UPDATE provisional_requests SET attempt = attempt + 1 WHERE job_id = ${jobId} RETURNING attempt`;
    return row?.attempt ?? null;
  },

  /** Takes back the count of the last attempt. */
  excuse: (db: Queryable, jobId: string) =>
    db.$executeRaw`UPDATE provisional_requests SET attempt = attempt - 1 WHERE job_id = ${jobId}`,

  /**
   * Ends a request.
   * @returns whether its job still wants the version; null if another process has ended the request
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
