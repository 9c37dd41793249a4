export interface CosineScheduleOptions {
  /** Learning rate at the end of the warm-up, the largest of the run. */
  readonly peak: number;
  /** Number of steps of the whole run, warm-up included. */
  readonly steps: number;
  /** Number of steps in which the learning rate grows linearly, from peak / warmupSteps to the peak. */
  readonly warmupSteps: number;
}

/**
 * Makes a schedule of the learning rate: a linear warm-up, then half a cosine down to zero (Loshchilov & Hutter 2017,
 * SGDR, without restarts). From step `steps` on, the rate is zero.
 * @returns a function that gives the learning rate of a step; steps count from 0
 * @throws RangeError for a setting out of range
 */
export function cosineSchedule({ peak, steps, warmupSteps }: CosineScheduleOptions): (step: number) => number {
  requireRange('peak', peak, 0, Infinity);
  requireRange('steps', steps, 1, Infinity);
  requireRange('warmupSteps', warmupSteps, 0, steps);
  return (step) => {
    if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
    const progress = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
    return (peak * (1 + Math.cos(Math.PI * progress))) / 2;
  };
}

function requireRange(name: string, value: number, low: number, high: number): void {
  if (!(value >= low && value <= high)) {
    throw new RangeError(`the schedule's ${name} is ${value}, expected ${low} to ${high}`);
  }
}
