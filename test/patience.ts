/**
 * How long tests wait for what has to come, in milliseconds, unless they say otherwise. It comes late where other checks use the processor,
 * and how soon it comes is not what they are about.
 */
export const PATIENCE_MS = 50_000;

/** The same where a fleet trains on what other tests leave of the processor. */
export const FLEET_MS = 240_000;
