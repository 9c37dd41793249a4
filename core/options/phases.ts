export const PHASES = ['queue_wait', 'prepare', 'evolution', 'initialize', 'fine_tune', 'evaluate', 'publish'] as const;
/** What a job's clock runs on. Exactly one phase is current at any time, so that the phases sum to the job's time. */
export type Phase = (typeof PHASES)[number];
