import type { Random } from '../../../../core/statistics/random.ts';

/** Time that a job takes from its claim, in milliseconds. */
export interface JobTime {
  /** Time for which the job holds a device. */
  readonly deviceMs: number;
  /** Time until its first version is published; null if it ends without one. */
  readonly readyMs: number | null;
}

/** Rollout whose jobs wait for workers. */
export interface SimulatedRollout {
  /** Number of jobs of each wave, the canary first. */
  readonly waves: readonly number[];
  /** Speed of each worker, where 1 is their average. At least one. */
  readonly speeds: readonly number[];
  /** Number of jobs of other rollouts that run before the jobs of this one. */
  readonly jobsAhead: number;
  /** Time from the acceptance to the first job, in milliseconds. */
  readonly analysisMs: number;
  /** Draws the time of a job on a worker of speed 1. */
  draw(random: Random): JobTime;
  /** Jobs trained from scratch for comparison, which come last; null if there are none, or their times are unknown. */
  readonly controls: SimulatedControls | null;
}

export interface SimulatedControls {
  readonly jobs: number;
  draw(random: Random): JobTime;
}

export interface SimulatedTimes {
  /** Sum over the rollout's adaptations. */
  readonly deviceMs: number;
  /** Sum over the rollout's controls. */
  readonly controlDeviceMs: number;
  /** From the acceptance to the end of the last adaptation. */
  readonly makespanMs: number;
  /** From the acceptance to the end of the last job, including controls. */
  readonly rolloutMs: number;
  /** Times to readiness of the jobs that became ready, in ascending order. */
  readonly ttrMs: Float64Array;
}

/**
 * Simulates the queue once. The worker that is free first takes the next job, in the order of the queue, and a wave
 * begins when all jobs of the wave before have ended. Controls come last; several of them form a wave of their own. All
 * times are in milliseconds.
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

/** Quantile of values in ascending order, interpolated like PostgreSQL's `percentile_cont`. NaN if there are none. */
export function quantileOf(sorted: ArrayLike<number>, share: number): number {
  const place = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  if (below === undefined || above === undefined) return Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
