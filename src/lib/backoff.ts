/**
 * Computes the delay before the next attempt from the number of failures so far (at least one). After the first failure
 * it is `firstDelay`, and each further failure doubles it, up to `longestDelay`. All delays have the same unit.
 */
export function backoff(firstDelay: number, failures: number, longestDelay: number): number {
  return Math.min(longestDelay, firstDelay * 2 ** Math.min(30, failures - 1));
}
