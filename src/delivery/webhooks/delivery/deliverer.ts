import { randomUUID } from 'node:crypto';
import { createClaimLoop, type ClaimLoop, type Lease } from '../../../lib/claim-loop.ts';
import { deliveryRepository as repository } from './delivery.repository.ts';
import { runDeliveryTurn, type DeliveryTurnOptions } from './turn.ts';

export interface DelivererOptions extends DeliveryTurnOptions {
  /** Interval at which endpoints with pending events are looked for, in milliseconds (default 1000). */
  readonly intervalMs?: number;
  /** Duration of a lease, in milliseconds (default 60,000). An endpoint of a silent process is taken over after it. */
  readonly leaseMs?: number;
  /**
   * Time that requests have to end when the process stops, in milliseconds (default 5000). Aborted ones are repeated
   * later.
   */
  readonly graceMs?: number;
}

/**
 * Sends events to webhook endpoints. Every API process runs one. A lease on the endpoint's row lets one process send to
 * it at a time, and another one take over if it dies.
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
