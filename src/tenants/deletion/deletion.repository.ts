import { Prisma, type Transaction } from '../../platform/database/database.ts';

interface Locked {
  id: string;
  tenant_id: string;
  name: string;
  deleted_at: Date | null;
}

type NamedTable = 'datasets' | 'adapters';

/**
 * SQL assignments that mark a row as deleted and free its name for another resource. Names in requests never contain
 * `~`.
 */
const DELETED = Prisma.sql`deleted_at = clock_timestamp(), name = name || '~' || id`;

function first<T>(rows: T[]): T | null {
  return rows[0] ?? null;
}

/**
 * Queries of deletions. A deletion locks its row first, so that concurrent inserts that refer to the row are either
 * visible or happen afterwards. A `tenantId` of null stands for any tenant.
 */
export const deletionRepository = {
  /** Locks a row, whether or not it is deleted already. Does not find rows of a deleted tenant. */
  lock: async (tx: Transaction, table: NamedTable, id: string, tenantId: string | null): Promise<Locked | null> =>
    first(
      await tx.$queryRaw<Locked[]>`
        SELECT r.id, r.tenant_id, r.name, r.deleted_at FROM ${Prisma.raw(table)} r
        JOIN tenants t ON t.id = r.tenant_id AND t.deleted_at IS NULL
        WHERE r.id = ${id} AND (${tenantId}::text IS NULL OR r.tenant_id = ${tenantId}) FOR UPDATE OF r`,
    ),

  lockTenant: async (tx: Transaction, id: string): Promise<Pick<Locked, 'deleted_at'> | null> =>
    first(await tx.$queryRaw<Pick<Locked, 'deleted_at'>[]>`SELECT deleted_at FROM tenants WHERE id = ${id} FOR UPDATE`),

  lockVersion: async (tx: Transaction, adapterId: string, id: string) =>
    first(
      await tx.$queryRaw<{ number: number; deleted_at: Date | null }[]>`
        SELECT number, deleted_at FROM adapter_versions WHERE id = ${id} AND adapter_id = ${adapterId} FOR UPDATE`,
    ),

  markDeleted: (tx: Transaction, table: NamedTable | 'tenants', id: string) =>
    tx.$executeRaw`UPDATE ${Prisma.raw(table)} SET ${DELETED} WHERE id = ${id}`,

  markVersionDeleted: (tx: Transaction, id: string) =>
    tx.$executeRaw`UPDATE adapter_versions SET deleted_at = clock_timestamp() WHERE id = ${id}`,

  /** Lists the adapters with this dataset by name. */
  adaptersWith: (tx: Transaction, datasetId: string, limit: number) =>
    tx.adapter.findMany({
      where: { datasetId, deletedAt: null },
      select: { id: true, name: true },
      orderBy: { name: 'asc' },
      take: limit,
    }),

  /**
   * Numbers of the adapter's latest version and of the last one ever made. The two differ if later versions are marked
   * `superseded`.
   */
  async lastNumbers(tx: Transaction, adapterId: string): Promise<{ latest: number | null; last: number | null }> {
    const latest = await tx.adapterVersion.aggregate({
      where: { adapterId, superseded: false, deletedAt: null },
      _max: { number: true },
    });
    const last = await tx.adapterVersion.aggregate({ where: { adapterId }, _max: { number: true } });
    return { latest: latest._max.number, last: last._max.number };
  },

  /** Finds a base model version on which this adapter version is current; null if there is none. */
  async currentOn(tx: Transaction, versionId: string): Promise<string | null> {
    const where = { adapterVersionId: versionId };
    const found = await tx.currentVersion.findFirst({ where, select: { baseModelVersionId: true } });
    return found?.baseModelVersionId ?? null;
  },

  /**
   * Finds a job that carries this version over and is unfinished, or still has to measure the baselines of its report.
   */
  jobFrom: (tx: Transaction, versionId: string) =>
    tx.job.findFirst({
      where: { sourceVersionId: versionId, OR: [{ finishedAt: null }, { baselinesPending: true }] },
      select: { id: true },
    }),
};
