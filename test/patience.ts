/**
 * How long tests wait for what has to come, in milliseconds: long enough for a fleet that trains beside other tests. How soon it comes is
 * not what they are about.
 */
export const PATIENCE_MS = 240_000;
