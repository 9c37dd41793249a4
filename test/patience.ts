/**
 * Timeout of tests for things that must happen, in milliseconds, long enough for a fleet that trains beside other
 * tests. Tests of how soon they happen use other limits.
 */
export const PATIENCE_MS = 240_000;
