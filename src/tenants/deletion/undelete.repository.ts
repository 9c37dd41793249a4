import { isUniqueViolation, type Transaction } from '../../platform/database/database.ts';

interface Locked {
  tenant_id: string;
  name: string;
  deleted_at: Date | null;
}

interface LockedInParts extends Locked {
  /** Time at which the collector began to remove the resource's rows; null if it has not begun. */
  collection_began_at: Date | null;
}

function first<T>(rows: T[]): T | null {
  return rows[0] ?? null;
}

/**
 * Restores the name that a resource had before its deletion, by cutting off the identifier that the deletion appended.
 */
export function formerName(name: string, id: string): string {
  const mark = `~${id}`;
  return name.endsWith(mark) ? name.slice(0, -mark.length) : name;
}

/**
 * Queries for undoing deletions. A `tenantId` of null means any tenant. Resources whose tenant is deleted are not
 * found: they come back with their tenant.
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
   * Locks the dataset of an adapter. Callers lock the dataset before the adapter, as the collector does when it
   * detaches a dataset from its adapters, so that the two cannot block each other for ever.
   * @returns null if the adapter has no dataset, or if the collector has removed it
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
   * Removes the deletion mark from a resource and gives it its former name.
   * @returns false if another resource has taken the name in the meantime
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
