import { QUOTA_NAMES, type QuotaLimits, type QuotaName } from '../../platform/config/quotas.ts';
import type { Database, Queryable, Transaction } from '../../platform/database/database.ts';
import { quotaExceeded } from './quota-exceeded.ts';
import { createQuotaRepository, type StoredUsage } from './quota.repository.ts';

export interface EffectiveLimits {
  readonly limits: QuotaLimits;
  /**
   * Whether the operator has set the limit of this name for the tenant itself. Otherwise the default for all tenants
   * applies.
   */
  isOwn(name: QuotaName): boolean;
}

/** Numbers of adapters, bytes and dataset rows that a transaction adds to those that a tenant has. */
export type Added = Partial<Record<'adapters' | 'stored_bytes' | 'dataset_rows', number>>;

/**
 * Checks of the quotas of tenants. If a limit is lowered below the amount that a tenant already uses, the tenant may
 * keep that amount.
 */
export interface QuotaCheck {
  limitsOf(tenantId: string, tx?: Queryable): Promise<EffectiveLimits>;
  /**
   * Requires some room in each of the named quotas, before an upload is read.
   * @throws AppError 403 `quota_exceeded`
   */
  requireAnyRoom(tenantId: string, names: readonly (keyof Added)[]): Promise<void>;
  /**
   * Requires that the tenant is within its limits, in a transaction that has inserted rows. Those inserts lock the
   * tenant's counters, so that of two concurrent transactions the second one sees what the first has added.
   *
   * @throws AppError 403 `quota_exceeded`, which rolls the inserts back
   */
  requireWithin(tx: Transaction, tenantId: string, added: Added): Promise<void>;
  /**
   * Requires room for one more API key of the tenant, in the transaction that creates the key.
   * @throws AppError 403 `quota_exceeded`
   */
  requireKeyRoom(tx: Transaction, tenantId: string): Promise<void>;
}

export function createQuotaCheck({ db, defaults }: { db: Database; defaults: QuotaLimits }): QuotaCheck {
  const quotas = createQuotaRepository(db);

  async function limitsOf(tenantId: string, tx: Queryable = db): Promise<EffectiveLimits> {
    const own = (await quotas.ownLimits(tenantId, tx)) ?? {};
    const limits = Object.fromEntries(
      QUOTA_NAMES.map((name) => {
        const limit = own[name];
        return [name, limit === undefined ? defaults[name] : limit];
      }),
    ) as QuotaLimits;
    return { limits, isOwn: (name) => own[name] !== undefined };
  }

  return {
    limitsOf,

    async requireAnyRoom(tenantId, names) {
      const { limits, isOwn } = await limitsOf(tenantId);
      const usage = await quotas.storedUsage(tenantId);
      for (const name of names) {
        const limit = limits[name];
        const used = taken(usage, name);
        if (limit !== null && used >= limit) throw quotaExceeded({ name, limit, used, isOwn: isOwn(name) });
      }
    },

    async requireWithin(tx, tenantId, added) {
      await quotas.lockUsage(tenantId, tx);
      const { limits, isOwn } = await limitsOf(tenantId, tx);
      const usage = await quotas.storedUsage(tenantId, tx);
      for (const [name, wanted] of Object.entries(added) as [keyof Added, number][]) {
        const limit = limits[name];
        const total = taken(usage, name);
        if (limit !== null && total > limit) {
          throw quotaExceeded({ name, limit, used: total - wanted, wanted, isOwn: isOwn(name) });
        }
      }
    },

    async requireKeyRoom(tx, tenantId) {
      await quotas.lockTenant(tenantId, tx);
      const { limits, isOwn } = await limitsOf(tenantId, tx);
      const { api_keys: limit } = limits;
      const used = limit === null ? 0 : await quotas.liveKeys(tenantId, tx);
      if (limit === null || used < limit) return;
      throw quotaExceeded({ name: 'api_keys', limit, used, isOwn: isOwn('api_keys') });
    },
  };
}

/** Computes how much of a quota a tenant has used. The bytes that running uploads have reserved count as used. */
function taken(usage: StoredUsage, name: keyof Added): number {
  return name === 'stored_bytes' ? usage.stored_bytes + usage.reserved_bytes : usage[name];
}
