import type { QuotaName } from '../../platform/config/quotas.ts';
import type { Database, Queryable, Transaction } from '../../platform/database/database.ts';

/**
 * Limits that the operator has set for one tenant. A missing member means that the default holds; null means no limit.
 */
export type OwnLimits = Partial<Record<QuotaName, number | null>>;

/**
 * Amounts that a tenant uses, as database triggers count them, and the bytes that its running uploads have reserved.
 */
export interface StoredUsage {
  adapters: number;
  stored_bytes: number;
  dataset_rows: number;
  reserved_bytes: number;
}

const NOTHING: StoredUsage = { adapters: 0, stored_bytes: 0, dataset_rows: 0, reserved_bytes: 0 };

export function createQuotaRepository(db: Database) {
  return {
    /** Reads the limits that the operator has set for a tenant; null if there is no such tenant. */
    async ownLimits(tenantId: string, tx: Queryable = db): Promise<OwnLimits | null> {
      const row = await tx.tenant.findUnique({ where: { id: tenantId }, select: { quotas: true } });
      return row === null ? null : ((row.quotas ?? {}) as OwnLimits);
    },

    setOwnLimits: (tenantId: string, limits: OwnLimits, tx: Transaction) =>
      tx.tenant.update({ where: { id: tenantId }, data: { quotas: limits } }),

    /**
     * Locks a tenant until the transaction ends. Other transactions that change its limits or its number of API keys
     * wait meanwhile.
     */
    lockTenant: (tenantId: string, tx: Transaction) =>
      tx.$queryRaw`SELECT id FROM tenants WHERE id = ${tenantId} FOR NO KEY UPDATE`,

    /**
     * Locks a tenant's usage counters until the transaction ends. Other transactions that insert rows which the
     * counters count, or that reserve bytes, wait meanwhile.
     */
    async lockUsage(tenantId: string, tx: Transaction): Promise<void> {
      await tx.$executeRaw`INSERT INTO tenant_usage (tenant_id) VALUES (${tenantId}) ON CONFLICT DO NOTHING`;
      await tx.$queryRaw`SELECT tenant_id FROM tenant_usage WHERE tenant_id = ${tenantId} FOR UPDATE`;
    },

    async storedUsage(tenantId: string, tx: Queryable = db): Promise<StoredUsage> {
      const [row] = await tx.$queryRaw<StoredUsage[]>`
        SELECT u.adapters::float8 AS adapters, u.stored_bytes::float8 AS stored_bytes,
          u.dataset_rows::float8 AS dataset_rows,
          COALESCE((SELECT sum(bytes) FROM upload_reservations r
            WHERE r.tenant_id = u.tenant_id AND r.expires_at > clock_timestamp()), 0)::float8 AS reserved_bytes
        FROM tenant_usage u WHERE u.tenant_id = ${tenantId}`;
      return row ?? NOTHING;
    },

    /**
     * Counts the API keys of a tenant that can be used. A rotated key and its successor count as one while both can be
     * used.
     */
    liveKeys(tenantId: string, tx: Queryable = db): Promise<number> {
      const usable = { revokedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: new Date() } }] };
      return tx.apiKey.count({ where: { tenantId, ...usable, NOT: { successor: { is: usable } } } });
    },

    unfinishedJobs: async (tenantId: string, tx: Queryable = db): Promise<number> =>
      tx.job.count({ where: { tenantId, finishedAt: null } }),
  };
}
