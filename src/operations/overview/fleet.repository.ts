import { Prisma, type Queryable } from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { VERSIONS_SHOWN } from './fleet.schemas.ts';

export interface BaseModelRow {
  readonly id: string;
  readonly name: string;
}

export interface VersionShareRow {
  readonly id: string;
  readonly version: string;
  readonly retires_at: Date | null;
  readonly current: number;
  readonly newest: number;
  readonly provisional: number;
}

export interface AdaptersRow {
  readonly adapters: number;
  readonly unserved: number;
}

/**
 * Makes the query for the adapters of a base model that a caller may see: those of one tenant, or those of all tenants
 * if none is given. Deleted adapters, and those of deleted tenants, are left out.
 */
function adaptersOf(baseModelId: string, tenantId: string | null): Prisma.Sql {
  const ofTenant = tenantId === null ? Prisma.empty : Prisma.sql`AND a.tenant_id = ${tenantId}`;
  return Prisma.sql`
    SELECT a.id FROM adapters a JOIN tenants t ON t.id = a.tenant_id AND t.deleted_at IS NULL
    WHERE a.base_model_id = ${baseModelId} AND a.deleted_at IS NULL ${ofTenant}`;
}

export const fleetOverviewRepository = {
  /** Finds a base model whose identifier or, failing that, whose name is the given text. */
  async baseModel(db: Queryable, reference: string): Promise<BaseModelRow | null> {
    const [row] = await readRows<BaseModelRow>(
      db,
      Prisma.sql`
        SELECT id, name FROM base_models WHERE id = ${reference} OR name = ${reference}
        ORDER BY id = ${reference} DESC LIMIT 1`,
    );
    return row ?? null;
  },

  /**
   * Counts the adapters that are served on each version of the base model, newest version first. Identifiers of
   * versions sort by the time of their creation.
   */
  shares: (db: Queryable, baseModelId: string, tenantId: string | null) =>
    readRows<VersionShareRow>(
      db,
      Prisma.sql`
        WITH mine AS (${adaptersOf(baseModelId, tenantId)}),
        served AS (
          SELECT c.base_model_version_id, v.provisional,
            c.base_model_version_id = max(c.base_model_version_id) OVER (PARTITION BY c.adapter_id) AS is_newest
          FROM mine JOIN current_versions c ON c.adapter_id = mine.id
            JOIN adapter_versions v ON v.id = c.adapter_version_id
        ),
        counted AS (
          SELECT base_model_version_id AS id, count(*)::int AS current,
            (count(*) FILTER (WHERE is_newest))::int AS newest,
            (count(*) FILTER (WHERE provisional))::int AS provisional
          FROM served GROUP BY base_model_version_id
        )
        SELECT b.id, b.version, b.retires_at, COALESCE(c.current, 0) AS current, COALESCE(c.newest, 0) AS newest,
          COALESCE(c.provisional, 0) AS provisional
        FROM base_model_versions b LEFT JOIN counted c ON c.id = b.id
        WHERE b.base_model_id = ${baseModelId} ORDER BY b.id DESC LIMIT ${VERSIONS_SHOWN}`,
    ),

  async adapters(db: Queryable, baseModelId: string, tenantId: string | null): Promise<AdaptersRow> {
    const [row] = await readRows<AdaptersRow>(
      db,
      Prisma.sql`
        WITH mine AS (${adaptersOf(baseModelId, tenantId)})
        SELECT count(*)::int AS adapters, (count(*) FILTER (WHERE NOT EXISTS (
          SELECT FROM current_versions c WHERE c.adapter_id = mine.id
            AND c.adapter_version_id IS NOT NULL)))::int AS unserved
        FROM mine`,
    );
    return row!;
  },
};
