import { TAGS } from '../../../platform/queue/priorities.ts';
import { Prisma, type Queryable } from '../../../platform/database/database.ts';
import { QUEUED } from './start-tags.ts';

/** Pair of base model versions: the old base, which a job carries an adapter over from, and the new base. */
export interface BasePair {
  readonly oldId: string;
  readonly newId: string;
}

/** Job in the queue with its start tag, which is its place in the fair order. */
export interface TaggedJob {
  readonly id: string;
  readonly start_tag: number;
}

/**
 * Number of jobs among which a job with a wanted pair of base model versions is searched for. They are the jobs that
 * follow a given job in the queue.
 */
const NEARBY = 100;

/**
 * SQL condition that the job `j` may swap places: it is an adaptation in the queue that has not begun and that no
 * worker has put off. A job with attempts is left alone, because its attempts are tied to its queue entry.
 */
const FRESH = Prisma.sql`${QUEUED} AND j.kind = 'adaptation'
  AND j.lease_owner IS NULL AND j.attempt = 0 AND j.error IS NULL`;

/**
 * SQL condition that the job `j` comes after the job `own` in the queue, in the range of start tags of the same
 * priority.
 */
const LATER = Prisma.sql`j.start_tag > own.start_tag
  AND j.start_tag < (floor(own.start_tag / ${TAGS}::float8) + 1) * ${TAGS}::float8`;

/**
 * Makes the common table expression `own`: the given job with its two base model versions and its deadline. It is empty
 * if the job may not swap places.
 */
function own(jobId: string): Prisma.Sql {
  return Prisma.sql`own AS MATERIALIZED (
    SELECT j.id, j.tenant_id, j.start_tag, r.base_model_version_id AS new_id, v.base_model_version_id AS old_id,
      COALESCE(r.deadline, 'infinity') AS deadline
    FROM jobs j JOIN rollouts r ON r.id = j.rollout_id JOIN adapter_versions v ON v.id = j.source_version_id
    WHERE j.id = ${jobId} AND ${FRESH})`;
}

/**
 * Queries that let jobs in the queue swap places. Each query changes either all the start tags that it should change,
 * or none.
 */
const exchangeRepository = {
  /**
   * Finds a job to run before the given job, because the deadline of its rollout is earlier. It is a later job in the
   * queue, of the same tenant and priority. If several rollouts have an earlier deadline, the earliest counts. Null if
   * there is no such job.
   */
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
   * Finds the next job with a given pair of base model versions, among the hundred jobs that follow the job `jobId` in
   * the queue with the same priority. Null if none of them has the pair, if the job `jobId` has the pair itself, or if
   * the job `jobId` may not swap places.
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
   * Swaps the start tags of two jobs in the queue, unless one of them has changed in the meantime.
   * @returns both jobs with their new start tags; an empty list if nothing was swapped
   */
  exchange: (db: Queryable, ids: readonly [string, string]) =>
    db.$queryRaw<TaggedJob[]>`
      WITH pair AS MATERIALIZED (
        SELECT j.id, j.start_tag FROM jobs j WHERE j.id = ANY(${[...ids]}::text[]) AND ${FRESH}
          FOR NO KEY UPDATE SKIP LOCKED)
      UPDATE jobs j SET start_tag = other.start_tag, updated_at = clock_timestamp()
      FROM pair JOIN pair other ON other.id <> pair.id WHERE j.id = pair.id RETURNING j.id, j.start_tag`,

  /**
   * Gives the job `id`, which is in the queue, the start tag of the job `to`. Returns null, and changes nothing, if the
   * job `id` has changed in the meantime.
   */
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
