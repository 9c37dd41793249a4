export const PHASES = ['queue_wait', 'prepare', 'evolution', 'initialize', 'fine_tune', 'evaluate', 'publish'] as const;
/** Phase of a job. Exactly one phase is current at any time, so that the phases sum to the job's time. */
export type Phase = (typeof PHASES)[number];
