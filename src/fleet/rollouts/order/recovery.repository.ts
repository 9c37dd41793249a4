import { Prisma, type Database } from '../../../platform/database/database.ts';
import type { LiveJob } from '../../jobs/index.ts';
import { IS_LIMITED, WAITING } from './start-tags.ts';

/** Jobs that are still to be run or refined and need not wait, and those whose baselines are to be measured. */
const LIVE = Prisma.sql`(j.baselines_pending OR (
  j.finished_at IS NULL AND j.paused_at IS NULL AND j.state <> 'held' AND j.admission IS DISTINCT FROM 'waiting'))`;

/** Rollouts `r` that go on and have jobs; of one that is analyzed, some may be planned already. No job of a paused one is queued. */
const WITH_JOBS = Prisma.sql`r.state IN ('analyzing', 'adapting')`;

/** Jobs that should be in the queue, for the sweeper. */
export const recoveryRepository = {
  expired: (db: Database, limit: number) =>
    db.$queryRaw<Omit<LiveJob, 'ended'>[]>`
        SELECT id, kind, start_tag FROM jobs
        WHERE lease_expires_at < statement_timestamp() AND finished_at IS NULL AND lease_owner IS NOT NULL
        ORDER BY lease_expires_at LIMIT ${limit}`,

  /** Live jobs of rollouts that go on, by the rollouts' counts, without those that wait to be admitted. */
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
