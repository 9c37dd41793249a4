import { Prisma } from '../../../platform/database/database.ts';

/**
 * Makes the common table expression `newer (version, selection)`: the rollouts to newer versions of the same base model
 * that are planning their jobs and have already counted the adapters that they leave out.
 */
export function newerInPlanning(rolloutId: string): Prisma.Sql {
  return Prisma.sql`
    newer AS MATERIALIZED (
      SELECT v.id AS version, n.options #> '{policy,selection}' AS selection
      FROM rollouts own
      JOIN base_model_versions old ON old.id = own.base_model_version_id
      JOIN base_model_versions v ON v.base_model_id = old.base_model_id AND v.id > old.id
      JOIN rollouts n ON n.base_model_version_id = v.id AND n.state = 'analyzing' AND n.left_out IS NOT NULL
      WHERE own.id = ${rolloutId})`;
}

/**
 * SQL condition that one of the rollouts in `newer` selects the adapter of the job `j`. Work on this job would be
 * wasted, because that rollout is about to take the adapter. If it does not take the adapter after all, the job is
 * admitted when the planning ends. The condition is a scalar subquery, which PostgreSQL computes job by job.
 */
export const IS_ABOUT_TO_BE_TAKEN = Prisma.sql`COALESCE((
  SELECT TRUE FROM newer JOIN adapters a ON a.id = j.adapter_id
  WHERE COALESCE(a.pinned_base_model_version_id = newer.version, TRUE) AND (newer.selection IS NULL OR (
    a.labels @> COALESCE(newer.selection -> 'labels', '{}') AND (
      (newer.selection -> 'tenants' IS NULL AND newer.selection -> 'adapters' IS NULL)
      OR jsonb_exists(newer.selection -> 'tenants', a.tenant_id) OR jsonb_exists(newer.selection -> 'adapters', a.id))))
  LIMIT 1
), FALSE)`;
