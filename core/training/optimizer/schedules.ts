/** Learning rate of a step; steps count from 0. */
export type Schedule = (step: number) => number;

export const SCHEDULE_KINDS = ['cosine', 'linear', 'constant'] as const;

export type ScheduleKind = (typeof SCHEDULE_KINDS)[number];

export interface ScheduleOptions {
  readonly kind: ScheduleKind;
  /** Reached at the end of the warm-up. */
  readonly peak: number;
  /** Steps of the whole run, warm-up included. */
  readonly steps: number;
  /** Steps of linear growth from peak / warmupSteps; default 0. */
  readonly warmupSteps?: number;
  /** Rate at the end of the decay, as a share of the peak; default 0. */
  readonly floor?: number;
}

/**
 * Linear warm-up, then decay to the floor at `steps` and no further: along half a cosine (Loshchilov & Hutter 2017,
 * SGDR, without restarts), a straight line, or not at all.
 * @throws RangeError for a setting out of range
 */
export function schedule({ kind, peak, steps, warmupSteps = 0, floor = 0 }: ScheduleOptions): Schedule {
  expectRange('peak', peak, 0, Infinity);
  expectRange('steps', steps, 1, Infinity);
  expectRange('warmupSteps', warmupSteps, 0, steps);
  expectRange('floor', floor, 0, 1);
  return (step) => {
    if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
    const progress = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
    return peak * (floor + (1 - floor) * remaining(kind, progress));
  };
}

/** From 1 at the start of the decay to 0 at its end. */
function remaining(kind: ScheduleKind, progress: number): number {
  switch (kind) {
    case 'cosine':
      return (1 + Math.cos(Math.PI * progress)) / 2;
    case 'linear':
      return 1 - progress;
    case 'constant':
      return 1;
  }
}

function expectRange(name: string, value: number, low: number, high: number): void {
  if (!(value >= low && value <= high)) {
    throw new RangeError(`schedule ${name} is ${value}, expected ${low} to ${high}`);
  }
}
