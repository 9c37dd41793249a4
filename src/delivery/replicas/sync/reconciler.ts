import { randomUUID } from 'node:crypto';
import { createClaimLoop, type ClaimLoop, type Lease } from '../../../lib/claim-loop.ts';
import { syncRepository as repository } from './sync.repository.ts';
import { runSyncTurn, type SyncTurnOptions } from './turn.ts';

export interface ReconcilerOptions extends SyncTurnOptions {
  /** Interval at which replicas with pending work are looked for, in milliseconds (default 1000). */
  readonly intervalMs?: number;
  /**
   * Duration of a lease, in milliseconds (default 30,000). If the holder does not renew it, another process takes over.
   */
  readonly leaseMs?: number;
  /**
   * Longest time that requests may take to end during a shutdown, in milliseconds (default 5000). Requests that take
   * longer are aborted, and are repeated later.
   */
  readonly graceMs?: number;
}

/**
 * Creates the loop that keeps the adapters loaded in replicas in line with the current versions. Every API process runs
 * one such loop. A lease on a replica's row lets only one process at a time work on the replica, and lets another
 * process take over if that process dies.
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
        await runSyncTurn(options, replica, { lease, signal: AbortSignal.any([signal, lost.signal]), isStopping });
      } finally {
        clearInterval(renewal);
      }
    },
  });
}
