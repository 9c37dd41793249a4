/** Environment variable for the largest accepted difference between a process's clock and the database's. */
export const CLOCK_TOLERANCE_VARIABLE = 'READAPT_CLOCK_TOLERANCE_MS';

/** Difference of this process's clock from another, in milliseconds: `aheadMs` ± `uncertaintyMs`. */
export interface ClockReading {
  /** Time by which this process's clock is ahead; negative if it is behind. */
  readonly aheadMs: number;
  readonly uncertaintyMs: number;
}

/**
 * Starts to compare this process's clock with another.
 * @returns a function that takes the other clock's time, read after this call. The uncertainty is half of the time
 * between the two calls
 */
export function compareClock(): (other: Date) => ClockReading {
  const began = performance.now();
  return (other) => {
    const uncertaintyMs = (performance.now() - began) / 2;
    return { aheadMs: Date.now() - uncertaintyMs - other.getTime(), uncertaintyMs };
  };
}

/**
 * Judges a reading of two clocks.
 * @returns the problem in words; null if the clock is right; undefined if the reading is too uncertain to tell
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
