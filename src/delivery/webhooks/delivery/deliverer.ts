import { randomUUID } from 'node:crypto';
import { createClaimLoop, type ClaimLoop } from '../../../lib/claim-loop.ts';
import { deliveryRepository as repository, type Lease } from './delivery.repository.ts';
import { runTurn, type TurnOptions } from './turn.ts';

export interface DelivererOptions extends TurnOptions {
  /** Time between two looks for what is to be sent, in milliseconds (default 1000). */
  readonly intervalMs?: number;
  /** How long an endpoint is left to a process that does not say anything any more, in milliseconds (default 60,000). */
  readonly leaseMs?: number;
  /** How long requests may take to end when the process stops, in milliseconds (default 5000). What is cut off is sent again. */
  readonly graceMs?: number;
}

/**
 * Sends events to webhook endpoints. Every API process has one. Which process sends to an endpoint is decided by a lease of its row, so that
 * one does at a time, and another one goes on if it dies.
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
      if (endpoint !== null) await runTurn(options, endpoint, { lease, ...control });
    },
  });
}
