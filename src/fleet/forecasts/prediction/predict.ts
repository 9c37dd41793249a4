import { Random } from '../../../../core/statistics/random.ts';
import { quantileOf, simulateRollout, type JobTime, type SimulatedTimes } from './simulate.ts';

/** Times of a job that has ended, from which the times of other jobs are predicted. */
export interface MeasuredJob extends JobTime {
  readonly rolloutId: string;
}

/** Group of similar jobs of a rollout, with measured jobs that are expected to take as long. */
export interface JobClass {
  /** Number of jobs in this group that the rollout would run. */
  readonly jobs: number;
  /** Measured jobs that are like those to predict; at least one. */
  readonly measured: readonly MeasuredJob[];
  /** Whether the measured jobs were between the same two base model versions as the jobs to predict. */
  readonly samePair: boolean;
}

export interface FleetToPredict {
  readonly classes: readonly JobClass[];
  /**
   * Controls of the rollout: their number, and the classes of jobs that may get one. Null if their times are unknown.
   */
  readonly controls: { readonly jobs: number; readonly classes: readonly JobClass[] } | null;
  /** Share of the rollout's adapters that each wave has; the shares sum to 1. */
  readonly waveShares: readonly number[];
  /**
   * Speed of each ready worker, where 1 is the mean of all. Without ready workers the list is empty, and only device
   * time is predicted.
   */
  readonly speeds: readonly number[];
  readonly jobsAhead: number;
  readonly analysisMs: number;
}

/**
 * Predicted figure: `expected` is the median of its values in the simulated rollouts, and four fifths of the values lie
 * between `low` and `high`.
 */
export interface Range {
  readonly expected: number;
  readonly low: number;
  readonly high: number;
}

export interface Prediction {
  readonly device_seconds: Range;
  /** Device time of all controls together, in seconds; null if there are no measured jobs like them. */
  readonly control_device_seconds: Range | null;
  readonly ttr_p50_ms: Range | null;
  readonly ttr_p90_ms: Range | null;
  readonly makespan_ms: Range | null;
  /**
   * Time from the rollout's acceptance to the end of its last job, controls included; null if it cannot be predicted.
   */
  readonly rollout_ms: Range | null;
}

/**
 * Largest number of times that a prediction simulates a rollout. A large rollout is simulated fewer times, but at least
 * `FEWEST_RUNS` times, so that the product of jobs, workers and simulations stays within `STEPS` where possible.
 */
const RUNS = 200;
const STEPS = 5_000_000;
const FEWEST_RUNS = 20;

/**
 * Smallest number of measured rollouts from which the differences in speed between rollouts are estimated. With fewer
 * rollouts, the spread `UNKNOWN_FACTOR` is assumed.
 */
const ENOUGH_ROLLOUTS = 3;
/**
 * Spread that is assumed if too few rollouts were measured: a rollout is up to this factor slower or faster than those
 * measured. Between the same two base model versions, where only the adapters differ, the factor is smaller.
 */
const UNKNOWN_FACTOR = { pair: Math.SQRT2, other: 2 } as const;

/** Fixed seed of the random numbers, so that the same measured jobs give the same prediction. */
const SEED = 17;

/**
 * Predicts the times of a rollout by simulating it many times. Each simulation draws the times of its jobs, with
 * replacement, from a random sample of the measured jobs, and multiplies them by one factor, which stands for the
 * conditions that all jobs of a rollout share. In a predicted figure, `expected` is the median of the simulations, and
 * `low` and `high` are their quantiles of 0.1 and 0.9.
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

/** Divides a number of jobs by shares that sum to 1. The parts are whole numbers that sum to the number of jobs. */
function shareOut(jobs: number, shares: readonly number[]): number[] {
  const ends = shares.map((_, index) => Math.round(jobs * shares.slice(0, index + 1).reduce((a, b) => a + b, 0)));
  return ends.map((end, index) => (index === ends.length - 1 ? jobs : end) - (ends[index - 1] ?? 0));
}

/** Creates the function that draws the time of a job at random, for one simulated rollout. */
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
 * Draws the factor by which all jobs of a simulated rollout are slower or faster than the measured jobs. If enough
 * rollouts were measured, the factor is the mean job time of a randomly chosen one, divided by the mean job time of all
 * of them. Otherwise it is a random factor within the assumed spread.
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
