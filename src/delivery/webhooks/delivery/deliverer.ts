import { randomUUID } from 'node:crypto';
import { createClaimLoop, type ClaimLoop, type Lease } from '../../../lib/claim-loop.ts';
import { deliveryRepository as repository } from './delivery.repository.ts';
import { runDeliveryTurn, type DeliveryTurnOptions } from './turn.ts';

export interface DelivererOptions extends DeliveryTurnOptions {
  /** Interval at which endpoints with pending events are looked for, in milliseconds (default 1000). */
  readonly intervalMs?: number;
  /**
   * Duration of a lease, in milliseconds (default 60,000). If the holder does not renew it, another process takes over.
   */
  readonly leaseMs?: number;
  /**
   * Longest time that requests may take to end during a shutdown, in milliseconds (default 5000). Requests that take
   * longer are aborted, and are repeated later.
   */
  readonly graceMs?: number;
}

/**
 * Creates the loop that sends events to webhook endpoints. Every API process runs one such loop. A lease on an
 * endpoint's row lets only one process at a time send to the endpoint, and lets another process take over if that
 * process dies.
 */
export function createDeliverer(options: DelivererOptions): ClaimLoop {
  const { db, logger, leaseMs = 60_000, intervalMs, graceMs } = options;
  const lease: Lease = { owner: randomUUID(), forMs: leaseMs };
  return createClaimLoop({
    what: 'the delivery to a webhook endpoint',
    logger,
    intervalMs,
    graceMs,
    candidates: async (limit) =>
      (await repository.candidates(db, limit)).map(({ id, tenant_id: tenantId }) => ({ id, owner: tenantId ?? '' })),
    async run({ id }, control) {
      const endpoint = await repository.claim(db, id, lease);
      if (endpoint !== null) await runDeliveryTurn(options, endpoint, { lease, ...control });
    },
  });
}
