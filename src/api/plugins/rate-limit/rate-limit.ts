import rateLimit from '@fastify/rate-limit';
import fp from 'fastify-plugin';
import type { Database } from '../../../platform/database/database.ts';
import type { Principal } from '../../../platform/contract/principal.ts';
import { tooManyRequests } from '../auth.ts';
import { createBucketRepository, type BucketOwner, type Grant } from './bucket.repository.ts';

interface RateLimitOptions {
  db: Database;
  /**
   * Number of requests per minute for one tenant with all its keys, or for one operator key, across all API processes.
   */
  perMinute: number;
}

/**
 * Limits the rate of requests of each tenant and operator key. A request is counted after its authentication and before
 * its body is read.
 */
export default fp<RateLimitOptions>(
  async (app, { db, perMinute }) => {
    // This limit per process counts only attempts without a usable key, which belong to no tenant (see auth.ts).
    await app.register(rateLimit, { global: false });
    const buckets = createBucketRepository(db);
    const leases = createTokenLeases((owner) => buckets.take(owner, perMinute));
    app.addHook('preParsing', async (request, reply, payload) => {
      const spent = await leases.spend(ownerOf(request.principal));
      reply
        .header('ratelimit-limit', spent.perMinute)
        .header('ratelimit-remaining', Math.floor(spent.remaining))
        .header('ratelimit-reset', Math.ceil(((spent.perMinute - spent.remaining) * 60) / spent.perMinute));
      if (spent.retryAfterMs !== null) throw tooManyRequests(Math.max(1, Math.ceil(spent.retryAfterMs / 1000)));
      return payload;
    });
  },
  { name: 'rate-limit' },
);

/**
 * Determines the tenant or operator key whose token bucket a request draws on. All keys of a tenant share the tenant's
 * bucket, because a tenant can create keys; each operator key has a bucket of its own.
 */
function ownerOf(principal: Principal): BucketOwner {
  return principal.kind === 'tenant'
    ? { id: principal.tenantId, tenantId: principal.tenantId }
    : { id: principal.keyId, tenantId: null };
}

/**
 * Time after which tokens are dropped that this process has taken from a bucket and not spent, in milliseconds. The
 * bucket refills within that time.
 */
const LEASE_MS = 60_000;

/** Result of trying to spend a token, that is, to let one request pass. */
export interface Spent {
  /** Time until another token may be available, in milliseconds; null if a token was spent. */
  readonly retryAfterMs: number | null;
  /** Number of tokens that the tenant or operator key has left, as far as this process knows. */
  readonly remaining: number;
  readonly perMinute: number;
}

interface Lease {
  tokens: number;
  expiresAt: number;
  /**
   * Time, on the clock of `performance.now()`, until which the bucket cannot hold a whole batch of tokens. Until then,
   * the database is not asked.
   */
  emptyUntil: number;
  left: number;
  perMinute: number;
  renewal: Promise<void> | null;
}

/**
 * Creates a spender of tokens, which this process takes from shared buckets in batches. A request waits for the
 * database only when a batch is used up. An owner who keeps sending while its bucket is empty costs the database one
 * statement per refilled batch.
 *
 * @param take takes a batch of tokens; if it fails, so do the waiting requests
 */
export function createTokenLeases(take: (owner: BucketOwner) => Promise<Grant>) {
  const leases = new Map<string, Lease>();
  let sweptAt = performance.now();

  async function renew(owner: BucketOwner, lease: Lease): Promise<void> {
    const { tokens, left, perMinute, batch } = await take(owner);
    const now = performance.now();
    const untilBatchMs = (Math.max(0, batch - left) * 60_000) / perMinute;
    Object.assign(lease, { tokens, left, perMinute, expiresAt: now + LEASE_MS });
    lease.emptyUntil = tokens < batch ? now + Math.max(1, untilBatchMs) : 0;
  }

  function leaseOf(id: string, now: number): Lease {
    if (now - sweptAt > LEASE_MS) {
      sweptAt = now;
      for (const [key, { expiresAt, renewal }] of leases) if (expiresAt < now && renewal === null) leases.delete(key);
    }
    const found = leases.get(id);
    if (found !== undefined) return found;
    const lease: Lease = { tokens: 0, expiresAt: now, emptyUntil: 0, left: 0, perMinute: 1, renewal: null };
    leases.set(id, lease);
    return lease;
  }

  return {
    async spend(owner: BucketOwner): Promise<Spent> {
      for (;;) {
        const now = performance.now();
        const lease = leaseOf(owner.id, now);
        const { perMinute } = lease;
        if (lease.tokens >= 1 && now < lease.expiresAt) {
          lease.tokens -= 1;
          return { retryAfterMs: null, remaining: lease.left + lease.tokens, perMinute };
        }
        if (now < lease.emptyUntil) return { retryAfterMs: lease.emptyUntil - now, remaining: 0, perMinute };
        lease.renewal ??= renew(owner, lease).finally(() => {
          lease.renewal = null;
        });
        await lease.renewal;
      }
    },
  };
}
