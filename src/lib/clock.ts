/**
 * Name of the environment variable for the largest accepted difference between a process's clock and the database's, in
 * milliseconds.
 */
export const CLOCK_TOLERANCE_VARIABLE = 'READAPT_CLOCK_TOLERANCE_MS';

/**
 * Measured difference between this process's clock and another one, in milliseconds. The true difference is `aheadMs` ±
 * `uncertaintyMs`.
 */
export interface ClockReading {
  /** Time by which this process's clock is ahead of the other one, in milliseconds; negative if it is behind. */
  readonly aheadMs: number;
  readonly uncertaintyMs: number;
}

/**
 * Starts a comparison of this process's clock with another one.
 * @returns a function to be called with a time that the other clock has shown since this call. It returns the
 * difference, whose uncertainty is half of the time between the two calls
 */
export function compareClock(): (other: Date) => ClockReading {
  const began = performance.now();
  return (other) => {
    const uncertaintyMs = (performance.now() - began) / 2;
    return { aheadMs: Date.now() - uncertaintyMs - other.getTime(), uncertaintyMs };
  };
}

/**
 * Judges whether two clocks differ by no more than the tolerance.
 * @returns null if they certainly differ by no more; a description of the problem if they certainly differ by more;
 * undefined if the measurement is too uncertain to tell
 */
export function clockProblem(reading: ClockReading, toleranceMs: number): string | null | undefined {
  const { aheadMs, uncertaintyMs } = reading;
  const difference = Math.abs(aheadMs);
  if (difference + uncertaintyMs <= toleranceMs) return null;
  if (difference - uncertaintyMs <= toleranceMs) return undefined;
  return (
    `the clock of this machine is ${inWords(difference)} ${aheadMs > 0 ? 'ahead of' : 'behind'} the database's, ` +
    `expected at most ${inWords(toleranceMs)} (${CLOCK_TOLERANCE_VARIABLE}): synchronize the clocks of both, for ` +
    'example by NTP'
  );
}

function inWords(ms: number): string {
  const units = [
    ['h', 3_600_000],
    ['min', 60_000],
  ] as const;
  for (const [unit, size] of units) if (ms >= 2 * size) return `${(ms / size).toFixed(1)} ${unit}`;
  return `${(ms / 1000).toFixed(1)} s`;
}
