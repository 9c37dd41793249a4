import type { Random } from '../../../../core/statistics/random.ts';

/** Time that a job takes from the moment a worker claims it, in milliseconds. */
export interface JobTime {
  /** Time for which the job occupies a device, in milliseconds. */
  readonly deviceMs: number;
  /** Time until the job publishes its first version, in milliseconds; null if the job ends without one. */
  readonly readyMs: number | null;
}

/** Rollout to simulate: its jobs, and the workers that take them from the queue. */
export interface SimulatedRollout {
  /** Number of jobs in each wave, the canary first. */
  readonly waves: readonly number[];
  /** Speed of each worker, where 1 is the mean of all workers. There is at least one worker. */
  readonly speeds: readonly number[];
  /** Number of jobs of other rollouts that workers take before the jobs of this rollout. */
  readonly jobsAhead: number;
  /** Time from the rollout's acceptance to its first job, in milliseconds. */
  readonly analysisMs: number;
  /** Draws at random the time that a job takes on a worker of speed 1. */
  draw(random: Random): JobTime;
  /**
   * Controls of the rollout, which run after all other jobs; null to leave them out, because their times are unknown.
   */
  readonly controls: SimulatedControls | null;
}

export interface SimulatedControls {
  readonly jobs: number;
  draw(random: Random): JobTime;
}

export interface SimulatedTimes {
  /** Device time of all adaptations of the rollout together, in milliseconds. */
  readonly deviceMs: number;
  /** Device time of all controls of the rollout together, in milliseconds. */
  readonly controlDeviceMs: number;
  /** Time from the rollout's acceptance to the end of its last adaptation, in milliseconds. */
  readonly makespanMs: number;
  /** Time from the rollout's acceptance to the end of its last job, controls included, in milliseconds. */
  readonly rolloutMs: number;
  /** Times to readiness of the jobs that became ready, in milliseconds, in ascending order. */
  readonly ttrMs: Float64Array;
}

/**
 * Simulates once how workers take the jobs of a rollout from the queue. The worker that is free first takes the next
 * job. A wave begins when all jobs of the wave before have ended. Controls come last; in a rollout of several waves
 * they begin when the last wave has ended. All times are in milliseconds.
 */
export function simulateRollout(rollout: SimulatedRollout, random: Random): SimulatedTimes {
  const free = new Float64Array(rollout.speeds.length).fill(rollout.analysisMs);
  const ready: number[] = [];
  let deviceMs = 0;
  let end = rollout.analysisMs;
  const run = (draw: SimulatedRollout['draw']): { begun: number; took: number; readyMs: number | null } => {
    const worker = earliest(free);
    const begun = free[worker]!;
    const time = draw(random);
    const speed = rollout.speeds[worker]!;
    const took = time.deviceMs / speed;
    free[worker] = begun + took;
    return { begun, took, readyMs: time.readyMs === null ? null : time.readyMs / speed };
  };
  const waitFor = (time: number) => free.forEach((at, worker) => (free[worker] = Math.max(at, time)));
  const draw: SimulatedRollout['draw'] = (next) => rollout.draw(next);
  for (let job = 0; job < rollout.jobsAhead; job++) run(draw);
  for (const [index, jobs] of rollout.waves.entries()) {
    // Workers that become free early wait for the wave to begin. The first wave waits for nothing.
    if (index > 0) waitFor(end);
    for (let job = 0; job < jobs; job++) {
      const { begun, took, readyMs } = run(draw);
      deviceMs += took;
      end = Math.max(end, begun + took);
      if (readyMs !== null) ready.push(begun + readyMs);
    }
  }
  if (rollout.waves.length > 1) waitFor(end);
  let [controlDeviceMs, rolloutMs] = [0, end];
  const { controls } = rollout;
  for (let job = 0; controls !== null && job < controls.jobs; job++) {
    const { begun, took } = run((next) => controls.draw(next));
    controlDeviceMs += took;
    rolloutMs = Math.max(rolloutMs, begun + took);
  }
  return { deviceMs, controlDeviceMs, makespanMs: end, rolloutMs, ttrMs: Float64Array.from(ready).sort() };
}

function earliest(free: Float64Array): number {
  let first = 0;
  for (let worker = 1; worker < free.length; worker++) if (free[worker]! < free[first]!) first = worker;
  return first;
}

/**
 * Computes a quantile of numbers in ascending order, interpolated like PostgreSQL's `percentile_cont`; NaN if there are
 * no numbers.
 */
export function quantileOf(sorted: ArrayLike<number>, share: number): number {
  const place = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  if (below === undefined || above === undefined) return Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
