import { normalQuantile } from '../../../core/statistics/distributions.ts';
import { STRATEGIES, type Strategy } from '../../../core/options/job-options.ts';
import { DEFAULT_JOB_OPTIONS } from '../../../core/options/job-settings.ts';
import type { MetricName } from '../../../core/options/metrics.ts';
import { simulateJob, type JobModel, type KeptVerdicts } from './simulated-job.ts';

/** Counts of the outcomes of simulated jobs. */
export interface Simulated extends JobModel {
  readonly jobs: number;
  /** Jobs that published a candidate with a certificate. */
  readonly certified: number;
  /** Jobs with a candidate that is good enough by its value alone, which a gate without certificates would publish. */
  readonly reached: number;
  /** Jobs whose first look certified its candidate. */
  readonly firstCertified: number;
  /** Mean number of rows of a job's first look. */
  readonly firstRows: number;
  /** Mean number of looks of a job. */
  readonly looks: number;
  /** Largest number of looks of a job. */
  readonly most: number;
}

/** Shares of rows that flip, each with the margin of the gate. */
const FLIPS = [
  { flips: 0.005, margin: 0.005 },
  { flips: 0.03, margin: 0.02 },
  { flips: 0.1, margin: 0.03 },
  { flips: 0.4, margin: 0.05 },
] as const;

const leastPower = DEFAULT_JOB_OPTIONS.least_power;

/** Models of jobs whose candidates are worse by just the margin, where errors are most frequent. */
export function modelsOfErrors(rows = 800): JobModel[] {
  const of = (metric: MetricName, strategies: readonly Strategy[], flips: readonly (typeof FLIPS)[number][]) =>
    strategies.flatMap((strategy) =>
      flips.flatMap((shares) =>
        [0.5, 0.9].map((persistence): JobModel => {
          return { strategy, metric, rows, ...shares, deficit: shares.margin, persistence, leastPower };
        }),
      ),
    );
  return [...of('accuracy', STRATEGIES, FLIPS), ...of('rouge_l', ['auto', 'scratch'], FLIPS.slice(1, 3))];
}

/** Models like those of errors whose gate asks for a loss. The bootstrap of their many looks takes long. */
export function modelsOfLossErrors(): JobModel[] {
  return modelsOfErrors()
    .filter(({ strategy, metric, flips }) => strategy === 'auto' && metric === 'accuracy' && flips === 0.1)
    .map((model) => ({ ...model, metric: 'loss' }));
}

/** Models of jobs whose candidates are as good as the old version. @param power the jobs' `least_power` */
export function modelsOfPower(power = leastPower): JobModel[] {
  return [0.02, 0.04, 0.08].flatMap((flips) =>
    [200, 400, 800, 1600].flatMap((rows) =>
      [0.01, 0.02, 0.03, 0.04, 0.05].map((margin): JobModel => {
        return {
          ...{ strategy: 'auto', metric: 'accuracy', rows, margin, deficit: 0, flips, persistence: 0.7 },
          leastPower: power,
        };
      }),
    ),
  );
}

/**
 * Models of jobs whose first look is of interest, the only one (`revert`) or one of several: at a version as good as
 * the old one, and at one that is worse by ten points.
 */
export function modelsOfLooks(): JobModel[] {
  return (['revert', 'auto'] as const).flatMap((strategy): JobModel[] => {
    const look = { strategy, metric: 'accuracy', rows: 800, margin: 0.03, persistence: 0.7, leastPower } as const;
    return [
      { ...look, deficit: 0, flips: 0.06 },
      { ...look, deficit: 0.1, flips: 0.14 },
    ];
  });
}

/** Whether the strategy takes a single look, so that many of its jobs are soon simulated. */
export const takesOneLook = ({ strategy }: JobModel): boolean => strategy === 'reuse' || strategy === 'revert';

/** Simulates jobs with the seeds 1 to `jobs`. @param kept cache of verdicts on as many rows with the same margin */
export async function simulate(model: JobModel, jobs: number, kept: KeptVerdicts = new Map()): Promise<Simulated> {
  let [certified, reached, looks, most, firstCertified, firstRows] = [0, 0, 0, 0, 0, 0];
  for (let seed = 1; seed <= jobs; seed++) {
    const { ready, candidates } = await simulateJob(model, seed, kept);
    if (ready) certified++;
    if (candidates.some(({ verdict }) => verdict !== 'failed')) reached++;
    if (candidates[0]!.verdict === 'passed') firstCertified++;
    firstRows += candidates[0]!.metric.rows;
    looks += candidates.length;
    most = Math.max(most, candidates.length);
  }
  const means = { looks: looks / jobs, firstRows: firstRows / jobs };
  return { ...model, jobs, certified, reached, most, firstCertified, ...means };
}

/** Two-sided 95 % interval of a share (Wilson, JASA 22, 1927). */
export function intervalOf(count: number, jobs: number): [number, number] {
  const z = normalQuantile(0.975);
  const share = count / jobs;
  const center = (share + z ** 2 / (2 * jobs)) / (1 + z ** 2 / jobs);
  const reach = (z / (1 + z ** 2 / jobs)) * Math.sqrt((share * (1 - share)) / jobs + z ** 2 / (4 * jobs ** 2));
  return [Math.max(0, center - reach), center + reach];
}
