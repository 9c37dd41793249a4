import { Random } from '../../../../core/statistics/random.ts';
import { quantileOf, simulateRollout, type JobTime, type SimulatedTimes } from './simulate.ts';

/** Time of a job that has ended, as evidence of how long others will take. */
export interface MeasuredJob extends JobTime {
  readonly rolloutId: string;
}

/** Jobs of a fleet that are expected to take as long as these measured ones. */
export interface JobClass {
  /** Number of jobs to run. */
  readonly jobs: number;
  /** Measured times, at least one. */
  readonly measured: readonly MeasuredJob[];
  /** Whether the measured jobs are of the same pair of base model versions. */
  readonly samePair: boolean;
}

export interface FleetToPredict {
  readonly classes: readonly JobClass[];
  /** Controls, by the classes whose adapters may get one; null if their times are unknown. */
  readonly controls: { readonly jobs: number; readonly classes: readonly JobClass[] } | null;
  /** Share of all adapters in each wave; the shares sum to 1. */
  readonly waveShares: readonly number[];
  /**
   * Speed of each worker, as for the simulation. Empty if no worker is ready; then only the device time is predicted.
   */
  readonly speeds: readonly number[];
  readonly jobsAhead: number;
  readonly analysisMs: number;
}

/** Median of the simulated rollouts, and the range that holds four fifths of them. */
export interface Range {
  readonly expected: number;
  readonly low: number;
  readonly high: number;
}

export interface Prediction {
  readonly device_seconds: Range;
  /** Device time of the controls; null if no comparable jobs are known. */
  readonly control_device_seconds: Range | null;
  readonly ttr_p50_ms: Range | null;
  readonly ttr_p90_ms: Range | null;
  readonly makespan_ms: Range | null;
  /** Time from the acceptance to the end of the last job, including controls; null if unknown. */
  readonly rollout_ms: Range | null;
}

/** Largest number of simulated rollouts, and of simulated jobs times workers over all of them. */
const RUNS = 200;
const STEPS = 5_000_000;
const FEWEST_RUNS = 20;

/** Number of measured rollouts from which their own differences determine the spread between rollouts. */
const ENOUGH_ROLLOUTS = 3;
/**
 * Assumed spread with fewer rollouts: a rollout is up to this factor slower or faster than measured. The factor is
 * smaller between the same two versions, where only the adapters differ.
 */
const UNKNOWN_FACTOR = { pair: Math.SQRT2, other: 2 } as const;

/** Fixed seed, so that the same numbers give the same prediction. */
const SEED = 17;

/**
 * Predicts a rollout by simulating it many times. Each simulated rollout draws its jobs, with replacement, from a
 * sample of the measured ones and multiplies their times by one factor, which stands for the conditions that all jobs
 * of a rollout share. The expected value is the median of the simulated ones; `low` and `high` are their quantiles of
 * 0.1 and 0.9.
 */
export function predictRollout(fleet: FleetToPredict): Prediction {
  const jobs = fleet.classes.reduce((sum, { jobs: count }) => sum + count, 0);
  const { speeds, analysisMs, controls } = fleet;
  // With no jobs of its own, a rollout does not wait for those ahead.
  const jobsAhead = jobs === 0 ? 0 : fleet.jobsAhead;
  const steps = (jobs + jobsAhead + (controls?.jobs ?? 0)) * Math.max(1, speeds.length);
  const runs = Math.max(FEWEST_RUNS, Math.min(RUNS, Math.floor(STEPS / Math.max(1, steps))));
  const random = Random.fromSeed(SEED);
  const waves = shareOut(jobs, fleet.waveShares);
  const rollout = { waves, speeds: speeds.length > 0 ? speeds : [1], jobsAhead, analysisMs };
  const simulated = Array.from({ length: runs }, () => {
    const draw = drawFrom(fleet.classes, random);
    const drawn = controls && { jobs: controls.jobs, draw: drawFrom(controls.classes, random) };
    return simulateRollout({ ...rollout, draw, controls: drawn }, random);
  });
  const rangeOf = (figure: (times: SimulatedTimes) => number): Range | null => {
    const values = Float64Array.from(simulated, figure).sort();
    if (values.some((value) => Number.isNaN(value))) return null;
    return { expected: quantileOf(values, 0.5), low: quantileOf(values, 0.1), high: quantileOf(values, 0.9) };
  };
  const device = {
    device_seconds: rangeOf(({ deviceMs }) => deviceMs / 1000) ?? { expected: 0, low: 0, high: 0 },
    control_device_seconds: controls && rangeOf(({ controlDeviceMs }) => controlDeviceMs / 1000),
  };
  if (speeds.length === 0)
    return { ...device, ttr_p50_ms: null, ttr_p90_ms: null, makespan_ms: null, rollout_ms: null };
  return {
    ...device,
    ttr_p50_ms: rangeOf(({ ttrMs }) => quantileOf(ttrMs, 0.5)),
    ttr_p90_ms: rangeOf(({ ttrMs }) => quantileOf(ttrMs, 0.9)),
    makespan_ms: rangeOf(({ makespanMs }) => makespanMs),
    rollout_ms: controls && rangeOf(({ rolloutMs }) => rolloutMs),
  };
}

/** Divides jobs by shares that sum to 1, so that the parts sum to them. */
function shareOut(jobs: number, shares: readonly number[]): number[] {
  const ends = shares.map((_, index) => Math.round(jobs * shares.slice(0, index + 1).reduce((a, b) => a + b, 0)));
  return ends.map((end, index) => (index === ends.length - 1 ? jobs : end) - (ends[index - 1] ?? 0));
}

/** Creates the source of job times for one simulated rollout. */
function drawFrom(classes: readonly JobClass[], random: Random): (random: Random) => JobTime {
  const wanted = classes.filter(({ jobs }) => jobs > 0);
  const populations = wanted.map((each) => {
    const sample = each.measured.map(() => pick(each.measured, random));
    return { until: 0, sample, factor: factorOf(each, random) };
  });
  let total = 0;
  for (const [index, { jobs }] of wanted.entries()) populations[index]!.until = total += jobs;
  return (next) => {
    const place = next.integer(total);
    const { sample, factor } = populations.find(({ until }) => place < until)!;
    const { deviceMs, readyMs } = pick(sample, next);
    return { deviceMs: deviceMs * factor, readyMs: readyMs === null ? null : readyMs * factor };
  };
}

/**
 * Factor by which all jobs of a rollout are slower or faster than the measured ones. With enough measured rollouts it
 * is the mean of one of them over the mean of all, otherwise a guess.
 */
function factorOf({ measured, samePair }: JobClass, random: Random): number {
  const rollouts = [...new Set(measured.map(({ rolloutId }) => rolloutId))];
  const guess = UNKNOWN_FACTOR[samePair ? 'pair' : 'other'];
  if (rollouts.length < ENOUGH_ROLLOUTS) return guess ** (2 * random.uniform() - 1);
  const one = pick(rollouts, random);
  const ofOne = measured.filter(({ rolloutId }) => rolloutId === one);
  return meanOf(ofOne) / Math.max(Number.MIN_VALUE, meanOf(measured));
}

function meanOf(jobs: readonly MeasuredJob[]): number {
  return jobs.reduce((sum, { deviceMs }) => sum + deviceMs, 0) / jobs.length;
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random.integer(items.length)]!;
}
