import type { Queryable } from '../../platform/database/database.ts';

/** Queries about a rollout's age and about the jobs of other rollouts ahead of it. */
export const forecastFleetRepository = {
  /** Time since a rollout was accepted, in milliseconds, by the database's clock. */
  async sinceAcceptance(db: Queryable, rolloutId: string): Promise<number> {
    const [row] = await db.$queryRaw<[{ ms: number }]>`
      SELECT (EXTRACT(EPOCH FROM clock_timestamp() - accepted_at) * 1000)::float8 AS ms FROM rollouts
        WHERE id = ${rolloutId}`;
    return row.ms;
  },

  /** Number of adaptations of other rollouts that wait or run, by the rollouts' counts. */
  async jobsAhead(db: Queryable, rolloutId: string | null): Promise<number> {
    const [row] = await db.$queryRaw<[{ jobs: number }]>`
      SELECT COALESCE(sum(c.unfinished), 0)::int AS jobs FROM rollouts r JOIN rollout_counts c ON c.rollout_id = r.id
      WHERE r.state IN ('analyzing', 'adapting') AND r.id IS DISTINCT FROM ${rolloutId}
        AND c.kind = 'adaptation' AND c.state NOT IN ('held', 'paused', 'ready')`;
    return row.jobs;
  },
};
