import { Prisma, type Database } from '../../../platform/database/database.ts';
import type { LiveJob } from '../../jobs/index.ts';
import { IS_LIMITED, WAITING } from './start-tags.ts';

/** Condition for jobs that should run or be refined now, or whose baselines should be measured. */
const LIVE = Prisma.sql`(j.baselines_pending OR (
  j.finished_at IS NULL AND j.paused_at IS NULL AND j.state <> 'held' AND j.admission IS DISTINCT FROM 'waiting'))`;

/**
 * Condition for running rollouts `r` that may have jobs; a rollout can have some during its analysis. A paused rollout
 * has no job in the queue.
 */
const WITH_JOBS = Prisma.sql`r.state IN ('analyzing', 'adapting')`;

/** Queries for the jobs that should be in the queue, used by the sweeper. */
export const recoveryRepository = {
  expired: (db: Database, limit: number) =>
    db.$queryRaw<Omit<LiveJob, 'ended'>[]>`
        SELECT id, kind, start_tag FROM jobs
        WHERE lease_expires_at < statement_timestamp() AND finished_at IS NULL AND lease_owner IS NOT NULL
        ORDER BY lease_expires_at LIMIT ${limit}`,

  /** Number of live jobs of running rollouts without those that wait to be admitted, by the rollouts' counts. */
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
