import { countFlips, lowerBoundOfDifference, type Flips } from '../../../core/statistics/paired-statistics.ts';
import type { Experiment } from '../config/load-experiment.ts';
import type { CellRecord, TestScore } from '../records.ts';
import { intervalOfShare } from './share-interval.ts';
import { mean } from './statistics.ts';

/** Comparison of a version with the old version on its own base, on the test rows. It may be worse by the margin. */
interface Judged {
  /** Difference on the test rows, in units of the metric. Negative if the version is worse. */
  readonly difference: number;
  /** Whether it is worse by more than the margin on the test rows. */
  readonly isBelow: boolean;
  /** Whether the upper end of the two-sided 95 % interval of the difference is below the margin, too. */
  readonly isClearlyBelow: boolean;
}

/** Decision of the gate on one job, with the comparison on test rows. */
export interface CheckedJob {
  readonly strategy: string;
  readonly task: string;
  readonly margin: number;
  /** Whether the gate publishes only certified versions. */
  readonly holds: boolean;
  /** Version that was published first, or null if none was. */
  readonly published: Judged | null;
  /** Best candidate of a job that published none, or null. */
  readonly held: Judged | null;
}

/** Totals of checked jobs of one kind. */
export interface GateCheck {
  readonly name: string;
  readonly margin: number | null;
  readonly holds: boolean;
  readonly jobs: number;
  readonly published: number;
  readonly below: number;
  readonly clearlyBelow: number;
  /** Two-sided 95 % interval of the share of jobs that publish a version below the margin on the test rows. */
  readonly interval: readonly [number, number];
  /** Mean difference of the published versions, or null if there are none. */
  readonly difference: number | null;
  readonly held: number;
  readonly heldBelow: number;
}

/** Compares a job's decision with the test rows. @returns null unless its gate has a margin and judges single rows */
export function checkJob(experiment: Experiment, cell: CellRecord, old: string | null): CheckedJob | null {
  const gate = experiment.strategies.find(({ name }) => name === cell.strategy)?.gate ?? experiment.gate;
  if (gate.kind === 'absolute' || old === null) return null;
  const { strategy, task, first, final } = cell;
  const judge = (score: TestScore | null): Judged | null =>
    score === null || score.right === null ? null : judged(old, score.right, gate.margin);
  return {
    ...{ strategy, task, margin: gate.margin, holds: gate.on_inconclusive !== 'publish' },
    published: judge(first),
    held: first === null ? judge(final) : null,
  };
}

function judged(old: string, now: string, margin: number): Judged {
  const flips = countFlips([...old].map(Number), [...now].map(Number));
  const difference = (flips.gains - flips.losses) / flips.rows;
  // A difference of exactly the margin is not below it, however the margin is rounded.
  const isBelow = difference < -margin - 1e-9;
  return { difference, isBelow, isClearlyBelow: isBelow && upperBound(flips) < -margin };
}

function upperBound({ gains, losses, rows }: Flips): number {
  return -lowerBoundOfDifference({ gains: losses, losses: gains, rows }, 0.975);
}

/** Computes totals by strategy, by task and over all jobs. The latter two separate gates that hold from others. */
export function gateChecks(jobs: readonly CheckedJob[]): GateCheck[] {
  const names = (key: 'strategy' | 'task') => [...new Set(jobs.map((job) => job[key]))];
  const policies = [true, false].map((holds) => jobs.filter((job) => job.holds === holds));
  const lines = [
    ...names('strategy').map((name) => ({ name, of: jobs.filter(({ strategy }) => strategy === name) })),
    ...policies.flatMap((some) =>
      names('task').map((name) => ({ name, of: some.filter(({ task }) => task === name) })),
    ),
    ...policies.map((of) => ({ name: 'all', of })),
  ];
  return lines.filter(({ of }) => of.length > 0).map(({ name, of }) => together(name, of));
}

function together(name: string, jobs: readonly CheckedJob[]): GateCheck {
  const published = jobs.flatMap((job) => job.published ?? []);
  const held = jobs.flatMap((job) => job.held ?? []);
  const below = published.filter(({ isBelow }) => isBelow).length;
  const margins = [...new Set(jobs.map(({ margin }) => margin))];
  return {
    name,
    margin: margins.length === 1 ? margins[0]! : null,
    holds: jobs[0]!.holds,
    jobs: jobs.length,
    published: published.length,
    below,
    clearlyBelow: published.filter(({ isClearlyBelow }) => isClearlyBelow).length,
    interval: intervalOfShare(below, jobs.length),
    difference: published.length === 0 ? null : mean(published.map(({ difference }) => difference)),
    held: held.length,
    heldBelow: held.filter(({ isBelow }) => isBelow).length,
  };
}
