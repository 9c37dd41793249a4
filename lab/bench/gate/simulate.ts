import { normalQuantile } from '../../../core/statistics/distributions.ts';
import { STRATEGIES } from '../../../core/options/job-options.ts';
import { DEFAULT_JOB_OPTIONS } from '../../../core/options/job-settings.ts';
import { simulateJob, type JobModel, type KeptVerdicts } from './simulated-job.ts';

/** Counts of the outcomes of simulated jobs. */
export interface Simulated extends JobModel {
  readonly jobs: number;
  /** Jobs that published a candidate with a certificate. */
  readonly certified: number;
  /** Jobs with a candidate that is good enough by its value alone, which a gate without certificates would publish. */
  readonly reached: number;
  /** Mean number of looks of a job. */
  readonly looks: number;
  /** Largest number of looks of a job. */
  readonly most: number;
}

/** Models of jobs whose candidates are worse by just the margin, where errors are most frequent. */
export function modelsOfErrors(rows = 400, margin = 0.02): JobModel[] {
  return STRATEGIES.flatMap((strategy) =>
    [0.03, 0.1].flatMap((flips) =>
      [0.5, 0.9].map((persistence) => ({
        strategy,
        rows,
        margin,
        deficit: margin,
        flips,
        persistence,
        leastPower: DEFAULT_JOB_OPTIONS.least_power,
      })),
    ),
  );
}

/** Models of jobs whose candidates are as good as the old version. */
export function modelsOfPower(leastPower = DEFAULT_JOB_OPTIONS.least_power): JobModel[] {
  return [0.02, 0.04, 0.08].flatMap((flips) =>
    [200, 400, 800, 1600].flatMap((rows) =>
      [0.01, 0.02, 0.03, 0.04, 0.05].map((margin) => {
        return { strategy: 'auto' as const, rows, margin, deficit: 0, flips, persistence: 0.7, leastPower };
      }),
    ),
  );
}

/** Simulates jobs with the seeds 1 to `jobs`. @param kept cache of verdicts on as many rows with the same margin */
export async function simulate(model: JobModel, jobs: number, kept: KeptVerdicts = new Map()): Promise<Simulated> {
  let [certified, reached, looks, most] = [0, 0, 0, 0];
  for (let seed = 1; seed <= jobs; seed++) {
    const { ready, candidates } = await simulateJob(model, seed, kept);
    if (ready) certified++;
    if (candidates.some(({ verdict }) => verdict !== 'failed')) reached++;
    looks += candidates.length;
    most = Math.max(most, candidates.length);
  }
  return { ...model, jobs, certified, reached, looks: looks / jobs, most };
}

/** Two-sided 95 % interval of a share (Wilson, JASA 22, 1927). */
export function intervalOf(count: number, jobs: number): [number, number] {
  const z = normalQuantile(0.975);
  const share = count / jobs;
  const center = (share + z ** 2 / (2 * jobs)) / (1 + z ** 2 / jobs);
  const reach = (z / (1 + z ** 2 / jobs)) * Math.sqrt((share * (1 - share)) / jobs + z ** 2 / (4 * jobs ** 2));
  return [center - reach, center + reach];
}
