import type { QuotaLimits } from '../../platform/config/quotas.ts';
import type { Database, Transaction } from '../../platform/database/database.ts';
import { describeExceeding, type ExceededQuota } from './quota-exceeded.ts';
import { jobUsageRepository as usage } from './job-usage.repository.ts';
import type { OwnLimits } from './quota.repository.ts';

/** Number of further jobs that a tenant may have, and the quota that limits it. */
export interface JobRoom {
  /**
   * Number of further jobs that the tenant may have; negative if the limit was lowered below the number of its
   * unfinished jobs.
   */
  readonly jobs: number;
  /**
   * Whether a new job may take the place of an older job of the same adapter that has ended, even if the tenant has no
   * room.
   */
  readonly mayExchange: boolean;
  readonly refusal: ExceededQuota;
}

type JobQuota = 'queued_jobs' | 'device_seconds';

/** Checks of the quotas that limit the jobs of tenants. A job that has begun is never stopped for a quota. */
export interface JobRooms {
  /**
   * Reads for each tenant whose jobs are limited how many further jobs it may have. Call this in the transaction that
   * plans the jobs.
   */
  rooms(tx: Transaction, tenantIds: readonly string[]): Promise<Map<string, JobRoom>>;
  /** Finds the quota that keeps a job of the tenant from beginning; null if no quota does. */
  deviceRefusal(tenantId: string): Promise<ExceededQuota | null>;
}

export function createJobRooms({ db, defaults }: { db: Database; defaults: QuotaLimits }): JobRooms {
  const limitOf = (own: OwnLimits, name: JobQuota) => (own[name] === undefined ? defaults[name] : own[name]);

  /** Finds the tenants that have used up their device seconds of this month. */
  async function withoutDevice(
    tenants: readonly { id: string; own: OwnLimits }[],
    tx: Database | Transaction,
  ): Promise<Map<string, ExceededQuota>> {
    const limited = tenants.filter(({ own }) => limitOf(own, 'device_seconds') !== null);
    const refusals = new Map<string, ExceededQuota>();
    if (limited.length === 0) return refusals;
    const ids = limited.map(({ id }) => id);
    const used = new Map((await usage.device(tx, ids)).map((row) => [row.tenant_id, row]));
    for (const { id, own } of limited) {
      const limit = limitOf(own, 'device_seconds')!;
      const { seconds, resets_at: resetsAt } = used.get(id)!;
      if (seconds < limit) continue;
      const isOwn = own.device_seconds !== undefined;
      refusals.set(
        id,
        describeExceeding({ name: 'device_seconds', limit, used: Math.round(seconds), isOwn, resetsAt }),
      );
    }
    return refusals;
  }

  /**
   * Computes how many further jobs each tenant may have that has a limit on its unfinished jobs. Locks these tenants
   * until the transaction ends, so that other transactions wait before they plan jobs for them.
   */
  async function withJobLimit(
    tenants: readonly { id: string; own: OwnLimits }[],
    tx: Transaction,
  ): Promise<Map<string, JobRoom>> {
    const limited = tenants.filter(({ own }) => limitOf(own, 'queued_jobs') !== null);
    const rooms = new Map<string, JobRoom>();
    if (limited.length === 0) return rooms;
    const ids = limited.map(({ id }) => id);
    await usage.lockTenants(tx, ids);
    const counts = new Map((await usage.unfinished(tx, ids)).map(({ tenant_id, count }) => [tenant_id, count]));
    for (const { id, own } of limited) {
      const limit = limitOf(own, 'queued_jobs')!;
      const used = counts.get(id) ?? 0;
      const refusal = describeExceeding({ name: 'queued_jobs', limit, used, isOwn: own.queued_jobs !== undefined });
      rooms.set(id, { jobs: limit - used, mayExchange: true, refusal });
    }
    return rooms;
  }

  const tenantsOf = async (tx: Database | Transaction, ids: readonly string[]) =>
    (await usage.ownLimits(tx, ids)).map(({ id, quotas }) => ({ id, own: (quotas ?? {}) as OwnLimits }));

  return {
    async rooms(tx: Transaction, tenantIds: readonly string[]): Promise<Map<string, JobRoom>> {
      const tenants = await tenantsOf(tx, tenantIds);
      const rooms = await withJobLimit(tenants, tx);
      for (const [id, refusal] of await withoutDevice(tenants, tx)) {
        rooms.set(id, { jobs: 0, mayExchange: false, refusal });
      }
      return rooms;
    },

    deviceRefusal: async (tenantId: string): Promise<ExceededQuota | null> =>
      (await withoutDevice(await tenantsOf(db, [tenantId]), db)).get(tenantId) ?? null,
  };
}
