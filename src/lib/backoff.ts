/**
 * Delay before the next attempt after a number of failures: the first delay, doubled with each further failure, up to
 * the longest one. All delays have the same unit.
 */
export function backoff(firstDelay: number, failures: number, longestDelay: number): number {
  return Math.min(longestDelay, firstDelay * 2 ** Math.min(30, failures - 1));
}
