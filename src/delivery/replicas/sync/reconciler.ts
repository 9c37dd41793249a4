import { randomUUID } from 'node:crypto';
import { createClaimLoop, type ClaimLoop } from '../../../lib/claim-loop.ts';
import { syncRepository as repository, type Lease } from './sync.repository.ts';
import { runTurn, type TurnOptions } from './turn.ts';

export interface ReconcilerOptions extends TurnOptions {
  /** Time between two looks for replicas that have to be worked on, in milliseconds (default 1000). */
  readonly intervalMs?: number;
  /** How long a replica is left to a process that does not say anything any more, in milliseconds (default 30,000). */
  readonly leaseMs?: number;
  /** How long requests may take to end when the process stops, in milliseconds (default 5000). What is cut off is done again. */
  readonly graceMs?: number;
}

/**
 * Keeps the adapters that replicas have loaded in accordance with what is current. Every API process has one. Which process works on a replica
 * is decided by a lease of its row, so that one does at a time, and another one goes on if it dies.
 */
export function createReconciler(options: ReconcilerOptions): ClaimLoop {
  const { db, logger, leaseMs = 30_000, intervalMs, graceMs } = options;
  const lease: Lease = { owner: randomUUID(), forMs: leaseMs };
  return createClaimLoop({
    what: 'the work on a replica',
    logger,
    intervalMs,
    graceMs,
    candidates: async (limit) => (await repository.candidates(db, limit)).map(({ id }) => ({ id, owner: id })),
    async run({ id }, { signal, isStopping }) {
      const replica = await repository.claim(db, id, lease);
      if (replica === null) return;
      const lost = new AbortController();
      const renewal = setInterval(() => {
        void repository
          .renew(db, id, lease)
          .then((isHeld) => (isHeld ? undefined : lost.abort()))
          .catch((error: unknown) =>
            logger.warn({ err: error, replica: id }, 'the lease of a replica was not renewed'),
          );
      }, leaseMs / 3);
      try {
        await runTurn(options, replica, { lease, signal: AbortSignal.any([signal, lost.signal]), isStopping });
      } finally {
        clearInterval(renewal);
      }
    },
  });
}
