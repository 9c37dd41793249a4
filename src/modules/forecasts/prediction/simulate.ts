import type { Random } from '../../../../core/statistics/random.ts';

/** The time that a job takes from its claim, in milliseconds. */
export interface JobTime {
  /** For how long it holds a device. */
  readonly deviceMs: number;
  /** Until its first version is published; null if it ends without one. */
  readonly readyMs: number | null;
}

/** A fleet whose jobs wait for workers. */
export interface SimulatedRollout {
  /** Number of jobs of each wave, the canary first. */
  readonly waves: readonly number[];
  /** The speed of each worker; 1 is the average of them. At least one. */
  readonly speeds: readonly number[];
  /** Number of jobs of other rollouts that wait before them. */
  readonly jobsAhead: number;
  /** Time from the acceptance to the first job. */
  readonly analysisMs: number;
  /** Draws the time of a job on a worker of speed 1. */
  draw(random: Random): JobTime;
}

export interface SimulatedTimes {
  /** Sum over the jobs of the rollout. */
  readonly deviceMs: number;
  /** From the acceptance to the end of the last job. */
  readonly makespanMs: number;
  /** Times to readiness of the jobs that became ready, in ascending order. */
  readonly ttrMs: Float64Array;
}

/**
 * Simulates the queue once: the worker that is free first takes the next job, in the order of the queue, and a wave begins when all jobs
 * of the wave before have ended. All times are in milliseconds.
 */
export function simulateRollout(rollout: SimulatedRollout, random: Random): SimulatedTimes {
  const free = new Float64Array(rollout.speeds.length).fill(rollout.analysisMs);
  const ready: number[] = [];
  let deviceMs = 0;
  let end = rollout.analysisMs;
  const run = (): { begun: number; took: number; readyMs: number | null } => {
    const worker = earliest(free);
    const begun = free[worker]!;
    const time = rollout.draw(random);
    const speed = rollout.speeds[worker]!;
    const took = time.deviceMs / speed;
    free[worker] = begun + took;
    return { begun, took, readyMs: time.readyMs === null ? null : time.readyMs / speed };
  };
  for (let job = 0; job < rollout.jobsAhead; job++) run();
  for (const [index, jobs] of rollout.waves.entries()) {
    // Workers that are free before the wave wait for it. The first wave waits for nothing.
    if (index > 0) free.forEach((at, worker) => (free[worker] = Math.max(at, end)));
    for (let job = 0; job < jobs; job++) {
      const { begun, took, readyMs } = run();
      deviceMs += took;
      end = Math.max(end, begun + took);
      if (readyMs !== null) ready.push(begun + readyMs);
    }
  }
  return { deviceMs, makespanMs: end, ttrMs: Float64Array.from(ready).sort() };
}

function earliest(free: Float64Array): number {
  let first = 0;
  for (let worker = 1; worker < free.length; worker++) if (free[worker]! < free[first]!) first = worker;
  return first;
}

/** The quantile of values in ascending order, with interpolation as PostgreSQL's `percentile_cont`. NaN if there are none. */
export function quantileOf(sorted: ArrayLike<number>, share: number): number {
  const place = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  if (below === undefined || above === undefined) return Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
