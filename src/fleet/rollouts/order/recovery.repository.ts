import { Prisma, type Database } from '../../../platform/database/database.ts';
import type { LiveJob } from '../../jobs/index.ts';
import { IS_LIMITED, WAITING } from './start-tags.ts';

/**
 * SQL condition that the job `j` should be in the queue: it can run or be refined now, or it has ended and its
 * baselines are pending. Baselines are measurements that only reports need.
 */
const LIVE = Prisma.sql`(j.baselines_pending OR (
  j.finished_at IS NULL AND j.paused_at IS NULL AND j.state <> 'held' AND j.admission IS DISTINCT FROM 'waiting'))`;

/**
 * SQL condition that jobs of the rollout `r` may be in the queue. The first jobs may be queued while the rollout is
 * still analyzing. While it is paused, none of its jobs is in the queue.
 */
const WITH_JOBS = Prisma.sql`r.state IN ('analyzing', 'adapting')`;

/** Queries by which the sweeper finds jobs that should be in the queue. */
export const recoveryRepository = {
  expired: (db: Database, limit: number) =>
    db.$queryRaw<Omit<LiveJob, 'ended'>[]>`
        SELECT id, kind, start_tag FROM jobs
        WHERE lease_expires_at < statement_timestamp() AND finished_at IS NULL AND lease_owner IS NOT NULL
        ORDER BY lease_expires_at LIMIT ${limit}`,

  /**
   * Counts the jobs that should be in the queue, mostly from the counts that each rollout keeps. Jobs that wait to be
   * admitted are subtracted.
   */
  async countLive(db: Database): Promise<number> {
    const [row] = await db.$queryRaw<{ count: number | null }[]>`
        SELECT sum(of_rollout.live - CASE WHEN ${IS_LIMITED} THEN (
          SELECT count(*) FROM jobs j WHERE j.rollout_id = r.id AND ${WAITING}) ELSE 0 END)::int AS count
        FROM rollouts r CROSS JOIN LATERAL (
          SELECT sum(c.baselines_pending + CASE WHEN c.state IN ('held', 'paused') THEN 0 ELSE c.unfinished END) AS live
          FROM rollout_counts c WHERE c.rollout_id = r.id
        ) AS of_rollout WHERE ${WITH_JOBS}`;
    return row?.count ?? 0;
  },

  live: (db: Database, after: string, limit: number) =>
    db.$queryRaw<LiveJob[]>`
        SELECT j.id, j.kind, j.start_tag, j.finished_at IS NOT NULL AS ended
        FROM rollouts r JOIN jobs j ON j.rollout_id = r.id
        WHERE ${WITH_JOBS} AND ${LIVE} AND j.id > ${after} ORDER BY j.id LIMIT ${limit}`,
};
