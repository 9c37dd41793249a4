export const PHASES = ['queue_wait', 'prepare', 'evolution', 'initialize', 'fine_tune', 'evaluate', 'publish'] as const;
/**
 * Phase of a job. Exactly one phase is current at any time, so that the times of all phases sum to the job's time. The
 * service has one more phase, `held`, for a job that waits because somebody asked for it.
 */
export type Phase = (typeof PHASES)[number];
