/**
 * How long tests wait for what has to come, in milliseconds: also for a fleet that trains on what other tests leave of the processor. How
 * soon it comes is not what they are about.
 */
export const PATIENCE_MS = 240_000;
