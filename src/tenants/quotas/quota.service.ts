import { QUOTA_NAMES, type QuotaLimits, type QuotaName } from '../../platform/config/quotas.ts';
import { withTransaction, type Database, type Queryable } from '../../platform/database/database.ts';
import { notFound } from '../../platform/contract/errors.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import { jobUsageRepository, type DeviceUsage } from './job-usage.repository.ts';
import { createQuotaCheck } from './quota-check.ts';
import { createQuotaRepository, type OwnLimits } from './quota.repository.ts';
import type { SetTenantQuotas, TenantQuotas } from './quota.schemas.ts';

/**
 * Weight of a tenant for which the operator has set no weight. The weight is the tenant's share in the fair order in
 * which the jobs of all tenants run.
 */
const DEFAULT_WEIGHT = 1;

interface QuotaServiceDependencies {
  readonly db: Database;
  readonly defaults: QuotaLimits;
  readonly requestsPerMinute: number;
}

export function createQuotaService({ db, defaults, requestsPerMinute }: QuotaServiceDependencies) {
  const repository = createQuotaRepository(db);
  const check = createQuotaCheck({ db, defaults });

  async function usedBy(
    tenantId: string,
    device: DeviceUsage | undefined,
    tx: Queryable,
  ): Promise<Record<QuotaName, number>> {
    const { reserved_bytes: reserved, ...stored } = await repository.storedUsage(tenantId, tx);
    return {
      ...stored,
      stored_bytes: stored.stored_bytes + reserved,
      queued_jobs: await repository.unfinishedJobs(tenantId, tx),
      device_seconds: Math.round(device?.seconds ?? 0),
      api_keys: await repository.liveKeys(tenantId, tx),
    };
  }

  async function show(tenantId: string, own: OwnLimits, tx: Queryable): Promise<TenantQuotas> {
    const { limits, isOwn } = await check.limitsOf(tenantId, tx);
    const [device] = await jobUsageRepository.device(tx, [tenantId]);
    const used = await usedBy(tenantId, device, tx);
    const { requests_per_minute: requests, weight } = own as SetTenantQuotas;
    return {
      tenant_id: tenantId,
      quotas: QUOTA_NAMES.map((name) => ({
        name,
        limit: limits[name],
        used: used[name],
        is_default: !isOwn(name),
        resets_at: name === 'device_seconds' ? toTimestamp(device?.resets_at ?? null) : null,
      })),
      requests_per_minute: { limit: requests ?? requestsPerMinute, is_default: requests === undefined },
      weight: { value: weight ?? DEFAULT_WEIGHT, is_default: weight === undefined },
    };
  }

  return {
    /**
     * Reads the limits and the usage of a tenant.
     * @param scope the tenant to which the caller is confined, or null for the operator
     * @throws AppError 404
     */
    async get(tenantId: string, scope: string | null): Promise<TenantQuotas> {
      const own = scope === null || scope === tenantId ? await repository.ownLimits(tenantId) : null;
      if (own === null) throw notFound('tenant', tenantId);
      return show(tenantId, own, db);
    },

    /**
     * Replaces all limits that the operator has set for a tenant. Existing data stays, even above a new limit.
     * @throws AppError 404
     */
    set: (tenantId: string, limits: SetTenantQuotas, recordChange: RecordChange): Promise<TenantQuotas> =>
      withTransaction(db, async (tx) => {
        await repository.lockTenant(tenantId, tx);
        const before = await repository.ownLimits(tenantId, tx);
        if (before === null) throw notFound('tenant', tenantId);
        await repository.setOwnLimits(tenantId, limits, tx);
        await recordEvent(tx, { tenantId, type: 'tenant.quotas_changed', subjectId: tenantId, data: { ...limits } });
        await recordChange(tx, { tenantId, subjectId: tenantId, before, after: limits });
        return show(tenantId, limits, tx);
      }),
  };
}
