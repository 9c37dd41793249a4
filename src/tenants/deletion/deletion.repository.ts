import { Prisma, type Transaction } from '../../platform/database/database.ts';

interface Locked {
  id: string;
  tenant_id: string;
  name: string;
  deleted_at: Date | null;
}

type NamedTable = 'datasets' | 'adapters';

/**
 * SQL assignments that mark a row as deleted. They append `~` and the identifier to its name, so that another resource
 * may take the name. Names in requests never contain `~`.
 */
const DELETED = Prisma.sql`deleted_at = clock_timestamp(), name = name || '~' || id`;

function first<T>(rows: T[]): T | null {
  return rows[0] ?? null;
}

/**
 * Queries for deleting resources. A deletion first locks the resource's row. A row that refers to the resource and is
 * inserted at the same time is then either visible to the deletion, or inserted after it. A `tenantId` of null means
 * any tenant.
 */
export const deletionRepository = {
  /**
   * Locks the row of a resource, even if the resource is deleted already; null if there is no such row, or if the row's
   * tenant is deleted.
   */
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

  /** Lists adapters that use the dataset, ordered by name. */
  adaptersWith: (tx: Transaction, datasetId: string, limit: number) =>
    tx.adapter.findMany({
      where: { datasetId, deletedAt: null },
      select: { id: true, name: true },
      orderBy: { name: 'asc' },
      take: limit,
    }),

  /**
   * Reads two version numbers of an adapter: the number of its latest version, and the highest number that was ever
   * given to one of its versions. They differ if the later versions are marked `superseded` or deleted.
   */
  async lastNumbers(tx: Transaction, adapterId: string): Promise<{ latest: number | null; last: number | null }> {
    const latest = await tx.adapterVersion.aggregate({
      where: { adapterId, superseded: false, deletedAt: null },
      _max: { number: true },
    });
    const last = await tx.adapterVersion.aggregate({ where: { adapterId }, _max: { number: true } });
    return { latest: latest._max.number, last: last._max.number };
  },

  /**
   * Finds a base model version on which the adapter version is the current version of its adapter; null if it is
   * current on no base model version.
   */
  async currentOn(tx: Transaction, versionId: string): Promise<string | null> {
    const where = { adapterVersionId: versionId };
    const found = await tx.currentVersion.findFirst({ where, select: { baseModelVersionId: true } });
    return found?.baseModelVersionId ?? null;
  },

  /**
   * Finds a job that starts from the adapter version and still needs it: the job is unfinished, or has yet to measure
   * the baselines of its report.
   */
  jobFrom: (tx: Transaction, versionId: string) =>
    tx.job.findFirst({
      where: { sourceVersionId: versionId, OR: [{ finishedAt: null }, { baselinesPending: true }] },
      select: { id: true },
    }),
};
