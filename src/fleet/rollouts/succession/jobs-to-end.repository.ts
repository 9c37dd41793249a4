import type { Queryable } from '../../../platform/database/database.ts';
import { endsWhenTaken, type RunningJobs } from './job-succession.repository.ts';
import { sourcesOf, type FleetToPlan } from '../planning/planning.repository.ts';

/**
 * Jobs of a tenant in older rollouts that a rollout would end, because it carries their adapters over to a newer
 * version.
 */
export interface JobsToEnd {
  readonly tenant_id: string;
  readonly jobs: number;
  /** Number of adapters whose adaptations would end. */
  readonly adapters: number;
  /** Number of these adaptations that would otherwise run before the rollout's own. */
  readonly ahead: number;
}

/** Rules for the jobs of older rollouts. */
interface Taking {
  readonly running: RunningJobs;
  /** Base model versions from which adapters cannot be carried over. Their jobs continue. */
  readonly refused: readonly string[];
}

/** Counts the jobs to end by tenant. Tenants without any are absent. */
export const countJobsToEnd = (db: Queryable, fleet: FleetToPlan, { running, refused }: Taking) =>
  db.$queryRaw<JobsToEnd[]>`
    SELECT j.tenant_id, count(*)::int AS jobs, count(DISTINCT j.adapter_id) FILTER (WHERE j.kind = 'adaptation')::int AS
      adapters,
      count(*) FILTER (WHERE j.kind = 'adaptation' AND r.state IN ('analyzing', 'adapting')
        AND j.state NOT IN ('held', 'paused', 'ready'))::int AS ahead
    FROM base_model_versions own
    JOIN base_model_versions older ON older.base_model_id = own.base_model_id AND older.id < own.id
    JOIN rollouts r ON r.base_model_version_id = older.id AND r.finished_at IS NULL
    JOIN jobs j ON j.rollout_id = r.id
    WHERE own.id = ${fleet.baseModelVersionId} AND ${endsWhenTaken(running)} AND EXISTS (
      SELECT ${sourcesOf(fleet)} AND a.id = j.adapter_id AND a.dataset_id IS NOT NULL
        AND newest.base_model_version_id <> ALL(${[...refused]}::text[]))
    GROUP BY j.tenant_id`;
