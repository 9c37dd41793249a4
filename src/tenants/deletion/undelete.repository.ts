import { isUniqueViolation, type Transaction } from '../../platform/database/database.ts';

interface Locked {
  tenant_id: string;
  name: string;
  deleted_at: Date | null;
}

interface LockedInParts extends Locked {
  /** Null until the collector begins to remove the resource's rows. */
  collection_began_at: Date | null;
}

function first<T>(rows: T[]): T | null {
  return rows[0] ?? null;
}

/** Name of a resource before its deletion. deletion.repository.ts appends the identifier. */
export function formerName(name: string, id: string): string {
  const mark = `~${id}`;
  return name.endsWith(mark) ? name.slice(0, -mark.length) : name;
}

/**
 * Queries that undo deletions. A `tenantId` of null stands for any tenant. Resources of a deleted tenant are not found:
 * they come back with their tenant.
 */
export const undeleteRepository = {
  lockTenant: async (tx: Transaction, id: string) =>
    first(
      await tx.$queryRaw<Omit<LockedInParts, 'tenant_id'>[]>`
        SELECT name, deleted_at, collection_began_at FROM tenants WHERE id = ${id} FOR UPDATE`,
    ),

  lockDataset: async (tx: Transaction, id: string, tenantId: string | null) =>
    first(
      await tx.$queryRaw<Locked[]>`
        SELECT d.tenant_id, d.name, d.deleted_at FROM datasets d JOIN tenants t ON t.id = d.tenant_id
          AND t.deleted_at IS NULL
        WHERE d.id = ${id} AND (${tenantId}::text IS NULL OR d.tenant_id = ${tenantId}) FOR UPDATE OF d`,
    ),

  /**
   * Locks the dataset of an adapter. Callers lock the dataset before the adapter, in the order in which the collector
   * locks them when it detaches a dataset from its adapters.
   * @returns null if the dataset was collected, or if the adapter has none
   */
  lockDatasetOf: async (tx: Transaction, adapterId: string, tenantId: string | null) =>
    first(
      await tx.$queryRaw<{ id: string; deleted_at: Date | null }[]>`
        SELECT d.id, d.deleted_at FROM datasets d WHERE d.id = (
          SELECT a.dataset_id FROM adapters a
          WHERE a.id = ${adapterId} AND (${tenantId}::text IS NULL OR a.tenant_id = ${tenantId})
        ) FOR UPDATE OF d`,
    ),

  lockAdapter: async (tx: Transaction, id: string, tenantId: string | null) =>
    first(
      await tx.$queryRaw<LockedInParts[]>`
        SELECT a.tenant_id, a.name, a.deleted_at, a.collection_began_at FROM adapters a
        JOIN tenants t ON t.id = a.tenant_id AND t.deleted_at IS NULL
        WHERE a.id = ${id} AND (${tenantId}::text IS NULL OR a.tenant_id = ${tenantId}) FOR UPDATE OF a`,
    ),

  /**
   * Clears the deletion mark and restores the name.
   * @returns false if another resource has the name in the meantime
   */
  async restore(
    tx: Transaction,
    { table, id, name }: { table: 'tenant' | 'dataset' | 'adapter'; id: string; name: string },
  ): Promise<boolean> {
    const change = { where: { id }, data: { deletedAt: null, name } };
    try {
      if (table === 'tenant') await tx.tenant.update(change);
      else if (table === 'dataset') await tx.dataset.update(change);
      else await tx.adapter.update(change);
      return true;
    } catch (error) {
      if (isUniqueViolation(error)) return false;
      throw error;
    }
  },

  restoreVersion: (tx: Transaction, id: string) =>
    tx.adapterVersion.update({ where: { id }, data: { deletedAt: null } }),
};
