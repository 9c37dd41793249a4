/**
 * Times of the workers that tests start, in milliseconds. What a dead one held is soon taken over, but not from one that a busy machine lets wait
 * for a while.
 */
export const WORKER_TIMES = { leaseMs: 4000, heartbeatMs: 100, lockMs: 4000, stalledCheckMs: 500, sweepMs: 300 };
