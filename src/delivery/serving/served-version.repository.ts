import { Prisma, type Queryable } from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { decodeCursor, type PageQuery } from '../../platform/contract/pagination.ts';
import { FIRST_RUNNING, type CommitPosition } from '../events/index.ts';

/** Adapter, together with a version of its base model if the request names one that exists. */
export interface AdapterOnBase {
  readonly adapterId: string;
  readonly tenantId: string;
  readonly adapter: string;
  readonly tenant: string;
  readonly baseModelVersionId: string | null;
  readonly servingName: string | null;
  readonly fingerprint: string | null;
}

/** Adapter version that engines should serve, with its adapter and its base. */
export interface ServedRow extends AdapterOnBase {
  readonly baseModelVersionId: string;
  readonly servingName: string;
  readonly versionId: string;
  readonly number: number;
  readonly provisional: boolean;
  readonly rank: number;
  readonly digest: string;
  readonly bytes: bigint;
  readonly changedAt: Date;
}

/**
 * Result of looking for the version of an adapter to serve on a base model version. With a `versionId` of null, the
 * adapter exists, but nothing is to be served.
 */
export type FoundRow = AdapterOnBase & ({ readonly versionId: null } | ServedRow);

/** Adapter, by its identifier, its own name and the name of its tenant. */
export interface ServedAdapter {
  readonly adapterId: string;
  readonly adapter: string;
  readonly tenant: string;
}

/**
 * Change of the version that is to be served for an adapter, with the position of the change in the order of commits.
 * With a `versionId` of null, no version of the adapter is to be served any more.
 */
export type ChangedRow = { readonly adapterId: string } & ({ readonly versionId: null } | ServedRow) & CommitPosition;

/** Adapter that a request asks for, by identifier or by the names of tenant and adapter. */
export type WantedAdapter = { readonly id: string } | { readonly tenant: string; readonly adapter: string };

/** Base model version that a request asks for, by identifier or by the name that engines have for it. */
export type WantedBase = { readonly id: string } | { readonly servingName: string };

/**
 * SQL columns of a version to serve, from the tables `a` (adapters), `t` (tenants), `b` (base model versions) and `v`
 * (adapter versions).
 */
const SHOWN = Prisma.sql`a.id AS "adapterId", a.tenant_id AS "tenantId", a.name AS adapter, t.name AS tenant,
  b.id AS "baseModelVersionId", b.serving_name AS "servingName", b.fingerprint,
  v.id AS "versionId", v.number, v.provisional, v.rank, v.artifact_digest AS digest, v.bytes`;

const NOTHING_CURRENT = Prisma.sql`v.id IS NULL OR v.deleted_at IS NOT NULL OR a.deleted_at IS NOT NULL
  OR t.deleted_at IS NOT NULL`;

function ofTenant(tenantId: string | null): Prisma.Sql {
  return tenantId === null ? Prisma.empty : Prisma.sql`AND a.tenant_id = ${tenantId}`;
}

/** Queries for the versions that engines should serve. With a `tenantId` of null they cover all tenants. */
export const servedVersionRepository = {
  /**
   * Finds the version to serve in one statement: the version with the given number if it is for the base, or else the
   * current one.
   * @returns a row for each matching base: several only if base model versions share a serving name, none if there is
   * no such adapter
   */
  find: (
    db: Queryable,
    { adapter, base, number }: { adapter: WantedAdapter; base: WantedBase; number?: number | undefined },
    tenantId: string | null,
  ): Promise<FoundRow[]> =>
    readRows<FoundRow>(
      db,
      Prisma.sql`
        SELECT ${SHOWN}, CASE WHEN v.id = c.adapter_version_id THEN c.changed_at ELSE v.created_at END AS "changedAt"
        FROM adapters a JOIN tenants t ON t.id = a.tenant_id AND t.deleted_at IS NULL
        LEFT JOIN base_model_versions b ON b.base_model_id = a.base_model_id AND ${
          'id' in base ? Prisma.sql`b.id = ${base.id}` : Prisma.sql`b.serving_name = ${base.servingName}`
        }
        LEFT JOIN current_versions c ON c.adapter_id = a.id AND c.base_model_version_id = b.id
        LEFT JOIN adapter_versions n ON n.adapter_id = a.id AND n.number = ${number ?? null}::int
          AND n.base_model_version_id = b.id AND n.deleted_at IS NULL
        LEFT JOIN adapter_versions v ON v.id = COALESCE(n.id, c.adapter_version_id) AND v.deleted_at IS NULL
        WHERE a.deleted_at IS NULL ${ofTenant(tenantId)} AND ${
          'id' in adapter
            ? Prisma.sql`a.id = ${adapter.id}`
            : Prisma.sql`t.name = ${adapter.tenant} AND a.name = ${adapter.adapter}`
        } LIMIT 2`,
    ),

  /**
   * Lists the current versions on a base model version, ordered by the adapters' identifiers. One row more than the
   * limit shows whether another page follows.
   */
  page: (
    db: Queryable,
    baseModelVersionId: string,
    { cursor, limit = 50 }: PageQuery,
    tenantId: string | null,
  ): Promise<ServedRow[]> =>
    readRows<ServedRow>(
      db,
      Prisma.sql`
        SELECT ${SHOWN}, c.changed_at AS "changedAt"
        FROM current_versions c JOIN adapters a ON a.id = c.adapter_id AND a.deleted_at IS NULL
        JOIN tenants t ON t.id = c.tenant_id AND t.deleted_at IS NULL
        JOIN base_model_versions b ON b.id = c.base_model_version_id
        JOIN adapter_versions v ON v.id = c.adapter_version_id AND v.deleted_at IS NULL
        WHERE c.base_model_version_id = ${baseModelVersionId}
          ${tenantId === null ? Prisma.empty : Prisma.sql`AND c.tenant_id = ${tenantId}`}
          ${cursor === undefined ? Prisma.empty : Prisma.sql`AND c.adapter_id > ${decodeCursor(cursor)}`}
        ORDER BY c.adapter_id LIMIT ${limit + 1}`,
    ),

  /**
   * Lists the base model versions on which the adapter versions to serve have changed after the position that is given
   * for the base model version. Without a position, every change counts.
   */
  async changedBases(db: Queryable, read: ReadonlyMap<string, CommitPosition>): Promise<string[]> {
    const positions = [...read.values()];
    const [transactions, sequences] = [
      positions.map(({ transaction }) => String(transaction)),
      positions.map(({ sequence }) => String(sequence)),
    ];
    const rows = await readRows<{ id: string }>(
      db,
      Prisma.sql`
        SELECT b.id FROM base_model_versions b
        LEFT JOIN unnest(${[...read.keys()]}::text[], ${transactions}::bigint[], ${sequences}::bigint[])
          AS p (id, transaction, sequence) ON p.id = b.id
        WHERE EXISTS (
          SELECT FROM current_versions c WHERE c.base_model_version_id = b.id
            AND (c.change_transaction_id, c.change_seq) > (COALESCE(p.transaction, 0), COALESCE(p.sequence, 0))
            AND c.change_transaction_id < ${FIRST_RUNNING}
        ) ORDER BY b.id`,
    );
    return rows.map(({ id }) => id);
  },

  /** Lists the changes on a base model version after a position, in the order of commits. */
  changes: (
    db: Queryable,
    baseModelVersionId: string,
    { after, limit }: { after: CommitPosition; limit: number },
    tenantId: string | null,
  ): Promise<ChangedRow[]> =>
    readRows<ChangedRow>(
      db,
      Prisma.sql`
        SELECT ${SHOWN}, c.changed_at AS "changedAt", c.change_transaction_id AS transaction, c.change_seq AS sequence,
          CASE WHEN ${NOTHING_CURRENT} THEN NULL ELSE v.id END AS "versionId"
        FROM (
          SELECT * FROM current_versions
          WHERE base_model_version_id = ${baseModelVersionId}
            ${tenantId === null ? Prisma.empty : Prisma.sql`AND tenant_id = ${tenantId}`}
            AND (change_transaction_id, change_seq) > (${after.transaction}::bigint, ${after.sequence}::bigint)
            AND change_transaction_id < ${FIRST_RUNNING}
          ORDER BY change_transaction_id, change_seq LIMIT ${limit}
        ) AS c JOIN adapters a ON a.id = c.adapter_id JOIN tenants t ON t.id = c.tenant_id
        JOIN base_model_versions b ON b.id = c.base_model_version_id
        LEFT JOIN adapter_versions v ON v.id = c.adapter_version_id
        ORDER BY c.change_transaction_id, c.change_seq`,
    ),

  /**
   * Lists the adapters whose current version on a base model version changed after a position. Unlike {@link changes},
   * it includes changes that are not readable yet because an older transaction runs.
   */
  unread: (db: Queryable, baseModelVersionId: string, after: CommitPosition): Promise<ServedAdapter[]> =>
    readRows<ServedAdapter>(
      db,
      Prisma.sql`
        SELECT a.id AS "adapterId", a.name AS adapter, t.name AS tenant
        FROM current_versions c JOIN adapters a ON a.id = c.adapter_id JOIN tenants t ON t.id = c.tenant_id
        LEFT JOIN adapter_versions v ON v.id = c.adapter_version_id
        WHERE c.base_model_version_id = ${baseModelVersionId}
          AND (c.change_transaction_id, c.change_seq) > (${after.transaction}::bigint, ${after.sequence}::bigint)
          AND NOT (${NOTHING_CURRENT})`,
    ),
};
