import { Prisma, type Queryable, type Transaction } from '../../platform/database/database.ts';

/** Lease by which a worker claims the measurement of an adapter version. Each claim has a new `owner`. */
export interface MeasurementLease {
  readonly versionId: string;
  readonly owner: string;
}

export interface ClaimedRequest {
  /** Time of the last request for the measurement. It changes if the measurement is requested again. */
  requested_at: string;
  attempt: number;
}

/** Work on rollouts that a worker leaves to other workers, because it cannot do it. */
export interface LeftToOthers {
  /** Identifiers of the base model versions that the worker cannot read. */
  readonly bases: readonly string[];
  /**
   * Identifiers of jobs that do not fit into the worker's memory, or need something else that the worker cannot read.
   */
  readonly jobs: readonly string[];
}

/** SQL condition that neither the version of a request `r`, nor its adapter, nor their tenant is deleted. */
const EXISTS = Prisma.sql`EXISTS (
  SELECT 1 FROM adapter_versions v
  JOIN adapters a ON a.id = v.adapter_id AND a.deleted_at IS NULL
  JOIN tenants t ON t.id = v.tenant_id AND t.deleted_at IS NULL
  WHERE v.id = r.adapter_version_id AND v.deleted_at IS NULL)`;

function leaseUntil(leaseMs: number): Prisma.Sql {
  return Prisma.sql`clock_timestamp() + make_interval(secs => ${leaseMs / 1000}::float8)`;
}

function held({ versionId, owner }: MeasurementLease): Prisma.Sql {
  return Prisma.sql`r.adapter_version_id = ${versionId} AND r.lease_owner = ${owner}`;
}

/** Queries on requests to measure adapter versions on the gate rows of their adapters. */
export const outcomeRequestRepository = {
  /**
   * Requests measurements of adapter versions. If a version is being measured already, the result is discarded and the
   * measurement is repeated.
   */
  request: (tx: Transaction, tenantId: string, versionIds: readonly string[]) =>
    tx.$executeRaw`
      INSERT INTO outcome_requests (adapter_version_id, tenant_id)
      SELECT id, ${tenantId} FROM unnest(${[...versionIds]}::text[]) AS v (id)
      ON CONFLICT (adapter_version_id) DO UPDATE SET requested_at = EXCLUDED.requested_at`,

  /**
   * Deletes the request for a measurement, because the version has been measured in another way or cannot be measured.
   */
  withdraw: (tx: Queryable, versionId: string) =>
    tx.$executeRaw`DELETE FROM outcome_requests WHERE adapter_version_id = ${versionId}`,

  /**
   * Marks the requests to put into the queue next, and returns them. In all, the queue holds at most `most` requests.
   * Tenants take turns: the first request of each tenant comes before the second of any. The query reads rows of at
   * most `most` tenants, however many requests there are.
   */
  queueNext: (db: Queryable, most: number) =>
    db.$queryRaw<{ id: string }[]>`
      WITH RECURSIVE free AS MATERIALIZED (
        SELECT GREATEST(0, ${most}::int - count(*)) AS places FROM outcome_requests WHERE queued
      ), owners AS (
        (SELECT tenant_id, 1 AS place FROM outcome_requests WHERE NOT queued AND (SELECT places FROM free) > 0
          ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT r.tenant_id FROM outcome_requests r WHERE NOT r.queued AND r.tenant_id > o.tenant_id
          ORDER BY r.tenant_id LIMIT 1), o.place + 1
        FROM owners o WHERE o.tenant_id IS NOT NULL AND o.place < ${most}::int
      ), waiting AS (
        SELECT w.id, w.place FROM owners o CROSS JOIN LATERAL (
          SELECT r.adapter_version_id AS id, row_number() OVER (ORDER BY r.adapter_version_id) AS place
          FROM outcome_requests r WHERE NOT r.queued AND r.tenant_id = o.tenant_id
          ORDER BY r.adapter_version_id LIMIT ${most}::int
        ) AS w
      ), next AS (
        SELECT id FROM waiting ORDER BY place, id LIMIT (SELECT places FROM free)
      )
      UPDATE outcome_requests r SET queued = TRUE FROM next WHERE r.adapter_version_id = next.id
      RETURNING r.adapter_version_id AS id`,

  countQueued: (db: Queryable): Promise<number> => db.outcomeRequest.count({ where: { queued: true } }),

  queued: async (db: Queryable, after: string, limit: number): Promise<{ id: string }[]> => {
    const rows = await db.outcomeRequest.findMany({
      where: { queued: true, adapterVersionId: { gt: after } },
      select: { adapterVersionId: true },
      orderBy: { adapterVersionId: 'asc' },
      take: limit,
    });
    return rows.map(({ adapterVersionId: id }) => ({ id }));
  },

  /** Claims a request for a worker. Returns null if another worker has claimed it, or its version is deleted. */
  async claim(db: Queryable, lease: MeasurementLease, leaseMs: number): Promise<ClaimedRequest | null> {
    const rows = await db.$queryRaw<ClaimedRequest[]>`
      UPDATE outcome_requests r SET attempt = r.attempt + 1, lease_owner = ${lease.owner},
        leased_at = clock_timestamp(), lease_expires_at = ${leaseUntil(leaseMs)}
      WHERE r.adapter_version_id = ${lease.versionId} AND ${EXISTS}
        AND (r.lease_owner IS NULL OR r.lease_expires_at < clock_timestamp())
      RETURNING r.requested_at::text AS requested_at, r.attempt`;
    return rows[0] ?? null;
  },

  /**
   * Reads how long a request is still leased, in milliseconds: 0 if no worker has claimed the request, and negative if
   * its lease has expired. Null if there is no request, or its version is deleted.
   */
  async leaseLeft(db: Queryable, versionId: string): Promise<number | null> {
    const [row] = await db.$queryRaw<{ left_ms: number }[]>`
      SELECT COALESCE(EXTRACT(EPOCH FROM r.lease_expires_at - clock_timestamp()) * 1000, 0)::float8 AS left_ms
      FROM outcome_requests r WHERE r.adapter_version_id = ${versionId} AND ${EXISTS}`;
    return row?.left_ms ?? null;
  },

  /** Renews the lease on a request. Returns false if the lease is lost or the version is deleted. */
  async renew(db: Queryable, lease: MeasurementLease, leaseMs: number): Promise<boolean> {
    const count = await db.$executeRaw`
      UPDATE outcome_requests r SET lease_expires_at = ${leaseUntil(leaseMs)} WHERE ${held(lease)} AND ${EXISTS}`;
    return count === 1;
  },

  /**
   * Releases the lease on a request. An `excused` attempt ended through no fault of the version, and does not count.
   */
  release: (db: Queryable, lease: MeasurementLease, { excused }: { excused: boolean }) =>
    db.$executeRaw`
      UPDATE outcome_requests r SET lease_owner = NULL, lease_expires_at = NULL, leased_at = NULL,
        attempt = r.attempt - ${excused ? 1 : 0}::int
      WHERE ${held(lease)}`,

  /**
   * Deletes a request that a worker has fulfilled. Returns false, and keeps the request, if the worker has lost its
   * lease or the measurement was requested again after the claim.
   */
  async end(tx: Transaction, lease: MeasurementLease, { requested_at }: ClaimedRequest): Promise<boolean> {
    const count = await tx.$executeRaw`
      DELETE FROM outcome_requests r WHERE ${held(lease)} AND r.requested_at = ${requested_at}::timestamptz`;
    return count === 1;
  },

  /** Whether a rollout has waiting work that this worker can do. Such work comes before measurements in advance. */
  async isRolloutWaiting(db: Queryable, { bases, jobs }: LeftToOthers): Promise<boolean> {
    const isLeft = (version: Prisma.Sql) => Prisma.sql`${version} = ANY(${[...bases]}::text[])`;
    const [row] = await db.$queryRaw<{ waits: boolean }[]>`
      SELECT EXISTS (
          SELECT 1 FROM rollouts r
          WHERE r.state IN ('planning', 'analyzing') AND NOT ${isLeft(Prisma.sql`r.base_model_version_id`)}
        ) OR EXISTS (
          SELECT 1 FROM jobs j JOIN rollouts r ON r.id = j.rollout_id JOIN adapter_versions v
            ON v.id = j.source_version_id
          WHERE j.state = 'queued' AND j.admission IS DISTINCT FROM 'waiting'
            AND NOT ${isLeft(Prisma.sql`r.base_model_version_id`)}
            AND NOT ${isLeft(Prisma.sql`v.base_model_version_id`)} AND j.id <> ALL(${[...jobs]}::text[])
        ) OR EXISTS (
          SELECT 1 FROM rollouts r JOIN rollout_counts c ON c.rollout_id = r.id
          WHERE r.state = 'adapting' AND c.baselines_pending > 0 AND NOT ${isLeft(Prisma.sql`r.base_model_version_id`)}
        ) AS waits`;
    return row?.waits ?? false;
  },
};
