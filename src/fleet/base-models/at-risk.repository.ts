import { Prisma, type Queryable } from '../../platform/database/database.ts';

/** Largest number of tenants in the list of adapters at risk. */
const TENANTS_SHOWN = 1000;

/** Number of one tenant's adapters that are at risk, with the totals over all tenants. */
export interface AtRiskRow {
  tenant_id: string;
  adapters: number;
  /** Total number of adapters that are at risk, over all tenants. */
  all_adapters: number;
  all_tenants: number;
}

/**
 * Makes the SQL condition that the adapter `a` is at risk when a base model version retires: it has no current version
 * on another base model version that retires later or never. If `retiresAt` is null, the given version never retires,
 * and only a current version on another version that never retires saves an adapter. The condition is a scalar
 * subquery, which PostgreSQL computes adapter by adapter; an anti-join would read all current versions for each page.
 */
export function isAtRisk(baseModelVersionId: string, retiresAt: Date | null): Prisma.Sql {
  const later = retiresAt === null ? Prisma.empty : Prisma.sql`OR b.retires_at > ${retiresAt}`;
  return Prisma.sql`NOT COALESCE((
    SELECT TRUE FROM current_versions o JOIN base_model_versions b ON b.id = o.base_model_version_id
    WHERE o.adapter_id = a.id AND o.adapter_version_id IS NOT NULL AND b.id <> ${baseModelVersionId}
      AND (b.retires_at IS NULL ${later}) LIMIT 1), FALSE)`;
}

export const atRiskRepository = {
  /** Counts the adapters at risk when a base model version retires, by tenant; the tenants with the most come first. */
  byTenant: (db: Queryable, baseModelVersionId: string, retiresAt: Date | null) =>
    db.$queryRaw<AtRiskRow[]>`
      SELECT a.tenant_id, count(*)::int AS adapters, sum(count(*)) OVER ()::int AS all_adapters,
        count(*) OVER ()::int AS all_tenants
      FROM current_versions c
      JOIN adapters a ON a.id = c.adapter_id AND a.deleted_at IS NULL
      JOIN tenants t ON t.id = a.tenant_id AND t.deleted_at IS NULL
      WHERE c.base_model_version_id = ${baseModelVersionId} AND c.adapter_version_id IS NOT NULL
        AND ${isAtRisk(baseModelVersionId, retiresAt)}
      GROUP BY a.tenant_id ORDER BY adapters DESC, a.tenant_id LIMIT ${TENANTS_SHOWN}`,
};
