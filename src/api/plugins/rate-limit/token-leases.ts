import type { BucketOwner, Grant } from './bucket.repository.ts';

/** Time after which unused tokens are dropped, in milliseconds. Their bucket refills within it anyway. */
const LEASE_MS = 60_000;

/** Result of spending a token. */
export interface Spent {
  /** Milliseconds until a token may be available; null if one was spent. */
  readonly retryAfterMs: number | null;
  /** Tokens that the owner has left, as far as this process knows. */
  readonly remaining: number;
  readonly perMinute: number;
}

interface Lease {
  tokens: number;
  expiresAt: number;
  /** Time until which the bucket is known to have less than a batch of tokens, so the database is not asked. */
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
