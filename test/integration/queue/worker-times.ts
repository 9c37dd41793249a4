/**
 * Times of workers started by tests, in milliseconds. They are long enough for a busy machine to stall a worker without
 * it losing its leases.
 */
export const WORKER_TIMES = { leaseMs: 15_000, heartbeatMs: 100, lockMs: 15_000, stalledCheckMs: 500, sweepMs: 300 };

/** Times of workers that are killed: their leases and locks are soon taken over. */
export const MORTAL_WORKER_TIMES = { ...WORKER_TIMES, leaseMs: 4000, lockMs: 4000 };
