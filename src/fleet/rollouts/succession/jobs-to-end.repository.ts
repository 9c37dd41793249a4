import type { Queryable } from '../../../platform/database/database.ts';
import { endsWhenTaken, type RunningJobs } from './job-succession.repository.ts';
import { sourcesOf, type FleetToPlan } from '../planning/planning.repository.ts';

/**
 * Counts of a tenant's jobs in older rollouts that a rollout to a newer version would end, because it takes their
 * adapters.
 */
export interface JobsToEnd {
  readonly tenant_id: string;
  readonly jobs: number;
  /** Number of adapters whose adaptations would end. */
  readonly adapters: number;
  /** Number of these adaptations that would run before the new rollout's jobs, if they were not ended. */
  readonly ahead: number;
}

/** Rule for running jobs of older rollouts, and the old base model versions that the rollout refuses. */
interface Taking {
  readonly running: RunningJobs;
  /** Base model versions from which adapters cannot be carried over. Jobs of such adapters in older rollouts go on. */
  readonly refused: readonly string[];
}

/** Counts, by tenant, the jobs of older rollouts that a rollout would end. A tenant without such jobs is absent. */
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
