import { Prisma, type Database } from '../../../platform/database/database.ts';

/** Tenant or operator key to whose requests a token bucket belongs. */
export interface BucketOwner {
  readonly id: string;
  readonly tenantId: string | null;
}

/** Tokens that a process has taken from a bucket. Each token allows one request. */
export interface Grant {
  readonly tokens: number;
  /** Number of tokens that are left in the bucket. */
  readonly left: number;
  /**
   * Largest number of tokens that the bucket holds, which is also the number of tokens that flow into it per minute.
   */
  readonly perMinute: number;
  /** Number of tokens that a process takes from the bucket at a time, if the bucket holds so many. */
  readonly batch: number;
}

/**
 * SQL expression for the number of tokens in a bucket now. `b` is the stored row, with the tokens and the time of its
 * last change; EXCLUDED has the present limit and time.
 */
const FILLED = Prisma.sql`LEAST(EXCLUDED.per_minute, b.tokens
  + GREATEST(0, EXTRACT(EPOCH FROM EXCLUDED.refilled_at - b.refilled_at)) * EXCLUDED.per_minute / 60)`;

/**
 * Token buckets that limit the rate of requests, shared by all API processes and filled by the database's clock. A
 * bucket starts full and refills within a minute. A process takes one hundredth of a bucket at a time, but at least one
 * token, so that emptying a bucket takes at most about a hundred statements of the database.
 */
export function createBucketRepository(db: Database) {
  return {
    /**
     * Takes a batch of tokens from the owner's bucket, or the rest if the bucket holds fewer.
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
