import type { Queryable } from '../../lib/database.ts';

/** Counts of what surrounds the jobs of a rollout that is forecast. */
export const fleetRepository = {
  /** The adapters of the base model, and those of them that have no version to be carried over. */
  async all(db: Queryable, baseModelVersionId: string): Promise<{ adapters: number; without_version: number }> {
    const [row] = await db.$queryRaw<[{ adapters: number; without_version: number }]>`
      SELECT count(*)::int AS adapters, count(*) FILTER (WHERE NOT EXISTS (
        SELECT FROM adapter_versions v WHERE v.adapter_id = a.id AND NOT v.superseded AND v.deleted_at IS NULL
      ))::int AS without_version
      FROM adapters a JOIN tenants t ON t.id = a.tenant_id AND t.deleted_at IS NULL
      JOIN base_model_versions new_base ON new_base.id = ${baseModelVersionId} AND new_base.base_model_id = a.base_model_id
      WHERE a.deleted_at IS NULL`;
    return row;
  },

  /** Time since a rollout was accepted, in milliseconds, by the database's clock. */
  async sinceAcceptance(db: Queryable, rolloutId: string): Promise<number> {
    const [row] = await db.$queryRaw<[{ ms: number }]>`
      SELECT (EXTRACT(EPOCH FROM clock_timestamp() - accepted_at) * 1000)::float8 AS ms FROM rollouts WHERE id = ${rolloutId}`;
    return row.ms;
  },

  /** Adaptations of other rollouts that wait or run, by the rollouts' counts. */
  async jobsAhead(db: Queryable, rolloutId: string | null): Promise<number> {
    const [row] = await db.$queryRaw<[{ jobs: number }]>`
      SELECT COALESCE(sum(c.unfinished), 0)::int AS jobs FROM rollouts r JOIN rollout_counts c ON c.rollout_id = r.id
      WHERE r.state IN ('analyzing', 'adapting') AND r.id IS DISTINCT FROM ${rolloutId}
        AND c.kind = 'adaptation' AND c.state NOT IN ('held', 'paused', 'ready')`;
    return row.jobs;
  },
};
