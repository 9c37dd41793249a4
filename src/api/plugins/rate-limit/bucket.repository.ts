import { Prisma, type Database } from '../../../platform/database/database.ts';

/** Owner of a bucket: a tenant, or an operator key. */
export interface BucketOwner {
  readonly id: string;
  readonly tenantId: string | null;
}

/** Tokens that a process received from a bucket. */
export interface Grant {
  readonly tokens: number;
  /** Tokens that are left in the bucket. */
  readonly left: number;
  /** Capacity of the bucket, and its refill per minute. */
  readonly perMinute: number;
  /** Number of tokens that a process takes at a time if there are enough. */
  readonly batch: number;
}

/**
 * SQL expression for the present number of tokens. `b` is the stored row; EXCLUDED has the limit and the present time.
 */
const FILLED = Prisma.sql`LEAST(EXCLUDED.per_minute, b.tokens
  + GREATEST(0, EXTRACT(EPOCH FROM EXCLUDED.refilled_at - b.refilled_at)) * EXCLUDED.per_minute / 60)`;

/**
 * Token buckets that all API processes share, by the database's clock. A bucket starts full and refills within a
 * minute. A process takes one hundredth of a bucket at a time, so the database sees a hundredth of the requests.
 */
export function createBucketRepository(db: Database) {
  return {
    /**
     * Takes a batch of tokens, or the rest if there are fewer.
     * @param perMinute the size of the bucket, unless the tenant has a limit of its own
     */
    async take({ id, tenantId }: BucketOwner, perMinute: number): Promise<Grant> {
      const [row] = await db.$queryRaw<{ granted: number; tokens: number; per_minute: number }[]>`
        INSERT INTO rate_buckets AS b (id, tenant_id, per_minute, granted, tokens, refilled_at)
        SELECT ${id}, ${tenantId}, size, GREATEST(1, floor(size / 100)), size - GREATEST(1, floor(size / 100)),
          clock_timestamp()
        FROM (SELECT COALESCE(
          (SELECT (quotas ->> 'requests_per_minute')::float8 FROM tenants WHERE id = ${tenantId}), ${perMinute}::float8
        ) AS size) AS bucket
        ON CONFLICT (id) DO UPDATE SET per_minute = EXCLUDED.per_minute,
          granted = LEAST(EXCLUDED.granted, floor(${FILLED})),
          tokens = ${FILLED} - LEAST(EXCLUDED.granted, floor(${FILLED})),
          refilled_at = GREATEST(b.refilled_at, EXCLUDED.refilled_at)
        RETURNING granted, tokens, per_minute`;
      const { granted, tokens: left, per_minute: size } = row!;
      return { tokens: granted, left, perMinute: size, batch: Math.max(1, Math.floor(size / 100)) };
    },
  };
}
