export const PHASES = ['queue_wait', 'prepare', 'evolution', 'initialize', 'fine_tune', 'evaluate', 'publish'] as const;
/**
 * Phase of a job. Exactly one is current at any time, so that the times of all phases sum to the job's time. The
 * service has one more, `held`, for a job that waits by somebody's wish.
 */
export type Phase = (typeof PHASES)[number];
