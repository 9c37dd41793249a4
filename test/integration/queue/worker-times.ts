/**
 * Times of the workers that tests start, in milliseconds. A busy machine may let one wait for a while before it loses
 * what it holds.
 */
export const WORKER_TIMES = { leaseMs: 15_000, heartbeatMs: 100, lockMs: 15_000, stalledCheckMs: 500, sweepMs: 300 };

/** Times of workers that are killed: their leases and locks are soon taken over. */
export const MORTAL_WORKER_TIMES = { ...WORKER_TIMES, leaseMs: 4000, lockMs: 4000 };
