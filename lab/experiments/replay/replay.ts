import type { MetricName } from '../../../core/options/metrics.ts';
import { placeOf } from '../report/comparisons/compare.ts';
import { medianRatio, ttrRatio, type Ratio } from '../report/ratio.ts';
import { durationOf, type Duration } from '../report/readiness.ts';
import { mean } from '../report/statistics.ts';
import { MARGIN, type RecordedJob } from './recorded-job.ts';
import { replayJob, type LookChanges } from './replay-job.ts';

export interface ReplayOptions {
  /** Strategies in the order of the report. The last is what the others are compared with. */
  readonly strategies: readonly string[];
  readonly gateRows: number;
  /** Number of replays of each job, with other orders of its rows. */
  readonly rounds: number;
  /** Time of a row relative to the recorded one, by metric. */
  readonly rowCost: Partial<Readonly<Record<MetricName, number>>>;
}

/** Jobs of one strategy with the same changes to their looks. Means are over all jobs and rounds. */
export interface ReplayedStrategy {
  readonly changes: string;
  readonly strategy: string;
  readonly jobs: number;
  /** Mean number of ready jobs. */
  readonly ready: number;
  /** Mean number of jobs that their first look certified. */
  readonly readyAtFirst: number;
  /** Mean number of gate rows of a look. */
  readonly rows: number;
  readonly lookSeconds: number;
  readonly jobSeconds: number;
  /** Median of the times sooner than the last strategy, over pairs of jobs, averaged over rounds; null for itself. */
  readonly sooner: Ratio | null;
}

/** Parts of the error probability by which the recorded jobs were judged. */
const RECORDED_PARTS = (number: number): number => {
  if (number <= 3) return 0.8 / 3;
  return 0.1 / ((number - 3) * (number - 2));
};

/** Parts of which most goes to the first look, which the product does not use. */
const FIRST_PARTS = (number: number): number => (number === 1 ? 0.8 : 0.16 * 2 ** (1 - number));

/** Job of one round, recorded or replayed. */
interface Outcome {
  readonly job: RecordedJob;
  readonly duration: Duration;
  readonly lookMs: number;
  readonly rows: readonly number[];
}

/** Replays all jobs with one change after the other. */
export function replayAll(jobs: readonly RecordedJob[], options: ReplayOptions): ReplayedStrategy[] {
  const steps: [string, LookChanges | null][] = [
    ['as recorded', null],
    ['looks end early', { partOf: RECORDED_PARTS, rowCost: {} }],
    ['… 80 % of the budget for the first', { partOf: FIRST_PARTS, rowCost: {} }],
    ['… half of what is left for each', { partOf: null, rowCost: {} }],
    ['… and cheaper rows', { partOf: null, rowCost: options.rowCost }],
  ];
  return steps.flatMap(([name, changes]) => {
    const rounds = Array.from({ length: changes ? options.rounds : 1 }, (_, round) =>
      jobs.map((job, index) => outcomeOf(job, changes, { ...options, seed: 1 + index + round * jobs.length })),
    );
    return options.strategies.map((strategy) => summarize(name, strategy, rounds, options.strategies.at(-1)!));
  });
}

function outcomeOf(
  job: RecordedJob,
  changes: LookChanges | null,
  { gateRows, seed }: { readonly gateRows: number; readonly seed: number },
): Outcome {
  if (changes) return { job, ...replayJob(job, changes, { gateRows, margin: MARGIN, seed }) };
  const lookMs = job.looks.reduce((sum, { ms }) => sum + ms, 0);
  return { job, duration: durationOf(job.cell), lookMs, rows: job.looks.map(({ measured }) => measured) };
}

function summarize(
  changes: string,
  strategy: string,
  rounds: readonly (readonly Outcome[])[],
  baseline: string,
): ReplayedStrategy {
  const ofStrategy = rounds.map((round) => round.filter(({ job }) => job.cell.strategy === strategy));
  const all = ofStrategy.flat();
  const ratios = rounds.map((round, index) => {
    return medianRatio(
      ofStrategy[index]!.flatMap(({ job, duration }) => {
        const other = round.find(
          (one) => one.job.cell.strategy === baseline && placeOf(one.job.cell) === placeOf(job.cell),
        );
        return other ? [ttrRatio(duration, other.duration)] : [];
      }),
    )!;
  });
  return {
    changes,
    strategy,
    jobs: ofStrategy[0]!.length,
    ready: mean(ofStrategy.map((round) => round.filter(isReady).length)),
    readyAtFirst: mean(ofStrategy.map((round) => round.filter((one) => isReady(one) && one.rows.length === 1).length)),
    rows: mean(all.flatMap(({ rows }) => rows)),
    lookSeconds: mean(all.map(({ lookMs }) => lookMs / 1000)),
    jobSeconds: mean(all.map(({ duration }) => duration.ms / 1000)),
    sooner:
      strategy === baseline
        ? null
        : { value: mean(ratios.map(({ value }) => value)), bound: ratios.some(({ bound }) => bound) },
  };
}

const isReady = ({ duration }: Outcome): boolean => duration.happened;
