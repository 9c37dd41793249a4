import { countFlips, lowerBoundOfDifference, type Flips } from '../../../core/statistics/paired-statistics.ts';
import type { Experiment } from '../config/load-experiment.ts';
import type { CellRecord, TestScore } from '../records.ts';
import { intervalOfShare } from './share-interval.ts';
import { mean } from './statistics.ts';

/** What is asked of a version: on test rows, it may be worse than the old one on its own base by the margin. */
interface Judged {
  /** On the test rows, in units of the metric; negative if it is worse. */
  readonly difference: number;
  /** Whether it is worse by more than the margin on the test rows. */
  readonly isBelow: boolean;
  /** Whether the upper end of the two-sided 95 % interval of the difference is below the margin, too. */
  readonly isClearlyBelow: boolean;
}

/** What the gate has decided of one job, beside what the test rows say. */
export interface CheckedJob {
  readonly strategy: string;
  readonly task: string;
  readonly margin: number;
  /** Whether the gate publishes only what is certified. */
  readonly holds: boolean;
  /** The version that was published first; null if none was. */
  readonly published: Judged | null;
  /** The best candidate of a job that published none; null if there is none. */
  readonly held: Judged | null;
}

/** Checked jobs of one kind together. */
export interface GateCheck {
  readonly name: string;
  readonly margin: number | null;
  readonly holds: boolean;
  readonly jobs: number;
  readonly published: number;
  readonly below: number;
  readonly clearlyBelow: number;
  /** Two-sided 95 % interval of the share of jobs that publish what is below the margin on the test rows. */
  readonly interval: readonly [number, number];
  /** Mean difference of the published versions; null if there are none. */
  readonly difference: number | null;
  readonly held: number;
  readonly heldBelow: number;
}

/** Compares what a job has decided with the test rows. @returns null unless its gate has a margin and judges single rows */
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

/** One line for each strategy, each task and all jobs, apart for gates that hold and for those that publish by the value. */
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
