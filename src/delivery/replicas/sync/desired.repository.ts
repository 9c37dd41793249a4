import { Prisma, type Queryable } from '../../../platform/database/database.ts';
import { engineName } from '../../serving/index.ts';
import { FIRST_RUNNING } from '../../events/index.ts';
import type { DesiredAdapter } from './plan.ts';

/** Settings of a replica that select the adapters that it serves. */
export interface ReplicaSelection {
  readonly baseModelVersionId: string;
  /** Tenants whose adapters are served; an empty list means all. */
  readonly tenantIds: readonly string[];
  readonly labels: Prisma.JsonValue;
  readonly maxAdapters: number;
}

/**
 * Fingerprint of the current versions on a base model version when they were read. If a fingerprint that is taken later
 * differs, the versions have to be read again.
 */
export interface Seen {
  readonly horizon: bigint;
  readonly changes: bigint;
}

export interface Desired {
  /** Adapters in the order of their last change, latest first. */
  readonly adapters: readonly DesiredAdapter[];
  /**
   * Number of all adapters that the replica's settings select. The list `adapters` has at most `maxAdapters` of them;
   * if more are selected, those that were created last are left out.
   */
  readonly total: number;
  readonly seen: Seen;
}

/**
 * Makes the SQL expression for the fingerprint of the changes since a horizon, which is the sum of the changes'
 * transaction ids.
 * @param horizon a transaction id; all transactions below it have ended, and their changes were read
 */
export const changesSince = (baseModelVersionId: Prisma.Sql, horizon: Prisma.Sql): Prisma.Sql => Prisma.sql`
  (SELECT COALESCE(sum(c.change_transaction_id), 0)::bigint FROM current_versions c
   WHERE c.base_model_version_id = ${baseModelVersionId} AND c.change_transaction_id >= ${horizon})`;

/** Reads the adapters that a replica should serve. */
export async function readDesired(db: Queryable, selection: ReplicaSelection): Promise<Desired> {
  // The fingerprint is read first: a change between the two statements is then seen twice rather than never.
  const seen = await readSeen(db, selection.baseModelVersionId);
  const { baseModelVersionId, tenantIds, labels, maxAdapters } = selection;
  const rows = await db.$queryRaw<
    (Omit<DesiredAdapter, 'alias' | 'name'> & { tenant: string; adapter: string; number: number; total: number })[]
  >`
    SELECT * FROM (
      SELECT c.tenant_id AS "tenantId", c.adapter_id AS "adapterId", c.adapter_version_id AS "adapterVersionId",
        d.artifact_digest AS "datasetDigest", t.name AS tenant, a.name AS adapter, v.number, c.changed_at,
        count(*) OVER ()::int AS total
      FROM current_versions c
      JOIN adapters a ON a.id = c.adapter_id AND a.deleted_at IS NULL
      JOIN tenants t ON t.id = c.tenant_id AND t.deleted_at IS NULL
      JOIN adapter_versions v ON v.id = c.adapter_version_id AND v.deleted_at IS NULL
      LEFT JOIN datasets d ON d.id = a.dataset_id
      WHERE c.base_model_version_id = ${baseModelVersionId}
        AND (cardinality(${tenantIds}::text[]) = 0 OR c.tenant_id = ANY (${tenantIds}::text[]))
        AND a.labels @> ${JSON.stringify(labels)}::jsonb
      ORDER BY c.adapter_id LIMIT ${maxAdapters}
    ) AS selected ORDER BY changed_at DESC, "adapterId"`;
  return {
    adapters: rows.map(({ tenant, adapter, number, tenantId, adapterId, adapterVersionId, datasetDigest }) => ({
      ...{ tenantId, adapterId, adapterVersionId, datasetDigest },
      alias: engineName({ tenant, adapter }),
      name: engineName({ tenant, adapter, number }),
    })),
    total: rows[0]?.total ?? 0,
    seen,
  };
}

async function readSeen(db: Queryable, baseModelVersionId: string): Promise<Seen> {
  const [row] = await db.$queryRaw<[Seen]>`
    WITH now AS MATERIALIZED (SELECT ${FIRST_RUNNING} AS horizon)
    SELECT horizon, ${changesSince(Prisma.sql`${baseModelVersionId}`, Prisma.sql`now.horizon`)} AS changes FROM now`;
  return row;
}
