import { Prisma, type Queryable, type Transaction } from '../../platform/database/database.ts';

/** Job states in which a worker may hold a lease on the job. */
const HOLDABLE = Prisma.raw(`'{preparing,initializing,fine_tuning,evaluating,ready}'::job_state[]`);
const MONTH = Prisma.raw(`date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')`);

export interface DeviceUsage {
  tenant_id: string;
  /** Time for which jobs of the tenant have held a device since the beginning of the month (UTC), in seconds. */
  seconds: number;
  /** Time at which the next month begins, when the usage restarts from zero. */
  resets_at: Date;
}

/** Queries on the resources that tenants' jobs use: unfinished jobs and time on devices. */
export const jobUsageRepository = {
  /** Locks the tenants until the transaction ends, so that other transactions wait before they plan jobs for them. */
  lockTenants: (tx: Transaction, tenantIds: readonly string[]) =>
    tx.$queryRaw`SELECT id FROM tenants WHERE id = ANY(${[...tenantIds]}::text[]) ORDER BY id FOR NO KEY UPDATE`,

  ownLimits: (tx: Queryable, tenantIds: readonly string[]) =>
    tx.tenant.findMany({ where: { id: { in: [...tenantIds] } }, select: { id: true, quotas: true } }),

  /**
   * Reads the number of unfinished jobs of each tenant. Triggers maintain it, because counting the jobs of a large
   * fleet for each page is too slow.
   */
  unfinished: (tx: Queryable, tenantIds: readonly string[]) =>
    tx.$queryRaw<{ tenant_id: string; count: number }[]>`
      SELECT tenant_id, sum(unfinished)::int AS count FROM rollout_tenant_counts
      WHERE tenant_id = ANY(${[...tenantIds]}::text[]) GROUP BY tenant_id`,

  /**
   * Computes the device seconds of this month, including those of running jobs and measurements. The comparison with
   * `-infinity` helps PostgreSQL's planner: few jobs have a lease, and the planner can estimate that from a comparison
   * with a constant, but not from one with the start of the month.
   */
  device: (tx: Queryable, tenantIds: readonly string[]) =>
    tx.$queryRaw<DeviceUsage[]>`
      WITH month AS MATERIALIZED (
        SELECT ${MONTH} AT TIME ZONE 'UTC' AS began, (${MONTH} + interval '1 month') AT TIME ZONE 'UTC' AS ends,
          clock_timestamp() AS now
      ), uses AS (
        SELECT u.tenant_id, u.started_at, u.ended_at FROM device_uses u, month
        WHERE u.tenant_id = ANY(${[...tenantIds]}::text[]) AND u.ended_at > month.began
        UNION ALL
        SELECT j.tenant_id, j.leased_at, LEAST(month.now, j.lease_expires_at) FROM jobs j, month
        WHERE j.state = ANY(${HOLDABLE}) AND j.lease_expires_at > '-infinity' AND j.lease_expires_at > month.began
          AND j.leased_at IS NOT NULL
          AND j.tenant_id = ANY(${[...tenantIds]}::text[])
        UNION ALL
        SELECT r.tenant_id, r.leased_at, LEAST(month.now, r.lease_expires_at) FROM outcome_requests r, month
        WHERE r.queued AND r.lease_expires_at > month.began AND r.leased_at IS NOT NULL
          AND r.tenant_id = ANY(${[...tenantIds]}::text[])
      )
      SELECT t.id AS tenant_id, month.ends AS resets_at, COALESCE((
        SELECT sum(EXTRACT(EPOCH FROM u.ended_at - GREATEST(u.started_at, month.began))) FROM uses u
          WHERE u.tenant_id = t.id
      ), 0)::float8 AS seconds
      FROM unnest(${[...tenantIds]}::text[]) AS t (id), month`,
};
