import rateLimit from '@fastify/rate-limit';
import fp from 'fastify-plugin';
import type { Database } from '../../../platform/database/database.ts';
import type { Principal } from '../../../platform/contract/principal.ts';
import { tooManyRequests } from '../auth.ts';
import { createBucketRepository, type BucketOwner } from './bucket.repository.ts';
import { createTokenLeases } from './token-leases.ts';

interface RateLimitOptions {
  db: Database;
  /**
   * Number of requests per minute for one tenant with all its keys, or for one operator key, across all API processes.
   */
  perMinute: number;
}

/**
 * Limits the requests of each tenant and operator key. A request counts after its authentication and before its body is
 * read.
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
 * Owner of the bucket of a request. All keys of a tenant share one, because a tenant can create keys; each operator key
 * has its own.
 */
function ownerOf(principal: Principal): BucketOwner {
  return principal.kind === 'tenant'
    ? { id: principal.tenantId, tenantId: principal.tenantId }
    : { id: principal.keyId, tenantId: null };
}
