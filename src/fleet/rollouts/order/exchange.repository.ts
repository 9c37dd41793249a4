import { TAGS } from '../../../platform/queue/priorities.ts';
import { Prisma, type Queryable } from '../../../platform/database/database.ts';
import { QUEUED } from './start-tags.ts';

/** Old and new base model version of a job. */
export interface BasePair {
  readonly oldId: string;
  readonly newId: string;
}

/** A waiting job with its start tag. */
export interface TaggedJob {
  readonly id: string;
  readonly start_tag: number;
}

/** Number of waiting jobs to search for one with the same pair of base model versions. */
const NEARBY = 100;

/**
 * Condition for adaptations that have not begun and that no worker has put off. The attempts of other jobs are tied to
 * their queue entries.
 */
const FRESH = Prisma.sql`${QUEUED} AND j.kind = 'adaptation'
  AND j.lease_owner IS NULL AND j.attempt = 0 AND j.error IS NULL`;

/** Waiting jobs after the job `own` with the same priority. */
const LATER = Prisma.sql`j.start_tag > own.start_tag
  AND j.start_tag < (floor(own.start_tag / ${TAGS}::float8) + 1) * ${TAGS}::float8`;

/** Selects a job if it may swap places with another one. */
function own(jobId: string): Prisma.Sql {
  return Prisma.sql`own AS MATERIALIZED (
    SELECT j.id, j.tenant_id, j.start_tag, r.base_model_version_id AS new_id, v.base_model_version_id AS old_id,
      COALESCE(r.deadline, 'infinity') AS deadline
    FROM jobs j JOIN rollouts r ON r.id = j.rollout_id JOIN adapter_versions v ON v.id = j.source_version_id
    WHERE j.id = ${jobId} AND ${FRESH})`;
}

/** Queries that swap waiting jobs in the queue. Each query changes either all start tags involved or none. */
const exchangeRepository = {
  /** Waiting job of the tenant with the earliest deadline before this job's own deadline; null if there is none. */
  async withEarlierDeadline(db: Queryable, jobId: string): Promise<string | null> {
    const [row] = await db.$queryRaw<{ id: string }[]>`
      WITH ${own(jobId)}
      SELECT other.id FROM own JOIN rollouts r ON r.deadline < own.deadline AND r.state IN ('analyzing', 'adapting')
      CROSS JOIN LATERAL (
        SELECT j.id FROM jobs j WHERE j.tenant_id = own.tenant_id AND j.rollout_id = r.id AND ${FRESH} AND ${LATER}
        ORDER BY j.start_tag LIMIT 1) AS other
      ORDER BY r.deadline, r.id LIMIT 1`;
    return row?.id ?? null;
  },

  /**
   * Next waiting job with a given pair of base model versions, among those soon after this job; null if this job
   * already has that pair.
   */
  async ofPair(db: Queryable, jobId: string, { oldId, newId }: BasePair): Promise<string | null> {
    const [row] = await db.$queryRaw<{ id: string }[]>`
      WITH ${own(jobId)},
      nearby AS (
        SELECT j.id, j.start_tag, j.rollout_id, j.source_version_id FROM own CROSS JOIN LATERAL (
          SELECT * FROM jobs j WHERE ${FRESH} AND ${LATER} ORDER BY j.start_tag LIMIT ${NEARBY}) AS j
        WHERE (own.old_id, own.new_id) <> (${oldId}, ${newId}))
      SELECT n.id FROM nearby n JOIN rollouts r ON r.id = n.rollout_id JOIN adapter_versions v
        ON v.id = n.source_version_id
      WHERE v.base_model_version_id = ${oldId} AND r.base_model_version_id = ${newId} ORDER BY n.start_tag LIMIT 1`;
    return row?.id ?? null;
  },

  /**
   * Swaps the start tags of two waiting jobs, unless one of them has changed in the meantime.
   * @returns both jobs, or none
   */
  exchange: (db: Queryable, ids: readonly [string, string]) =>
    db.$queryRaw<TaggedJob[]>`
      WITH pair AS MATERIALIZED (
        SELECT j.id, j.start_tag FROM jobs j WHERE j.id = ANY(${[...ids]}::text[]) AND ${FRESH}
          FOR NO KEY UPDATE SKIP LOCKED)
      UPDATE jobs j SET start_tag = other.start_tag, updated_at = clock_timestamp()
      FROM pair JOIN pair other ON other.id <> pair.id WHERE j.id = pair.id RETURNING j.id, j.start_tag`,

  /** Gives a waiting job the start tag of another one, unless the waiting job has changed in the meantime. */
  async bringForward(db: Queryable, { id, to }: { id: string; to: string }): Promise<TaggedJob | null> {
    const [row] = await db.$queryRaw<TaggedJob[]>`
      UPDATE jobs j SET start_tag = (SELECT t.start_tag FROM jobs t WHERE t.id = ${to}), updated_at = clock_timestamp()
      WHERE j.id = (SELECT j.id FROM jobs j WHERE j.id = ${id} AND ${FRESH} FOR NO KEY UPDATE SKIP LOCKED)
      RETURNING j.id, j.start_tag`;
    return row ?? null;
  },
};

export const {
  withEarlierDeadline,
  ofPair: nextJobOfPair,
  exchange: exchangeStartTags,
  bringForward,
} = exchangeRepository;
