import path from 'node:path';
import { renderSvg } from '../../bench/chart.ts';
import { writeFileAtomic } from '../../../core/formats/atomic-file.ts';
import type { TopLevelSpec } from 'vega-lite';
import type { Experiment } from '../config/load-experiment.ts';
import type { Item } from '../plan.ts';
import type { ResultRecord } from '../records.ts';
import { driftChart } from './charts/drift.ts';
import { forestChart } from './charts/forest.ts';
import { qualityChart } from './charts/quality-over-time.ts';
import { readinessChart } from './charts/readiness.ts';
import { searchPath, surfaceChart } from './charts/surface.ts';
import { toLines, toMarkdown, type Chart } from './markdown.ts';
import { summarize, type Summary } from './summary.ts';

export interface ReportInput {
  readonly experiment: Experiment;
  readonly items: readonly Item[];
  readonly records: readonly ResultRecord[];
  /** Folder for the report. */
  readonly out: string;
  /** File of the experiment as named on the command line. */
  readonly config: string;
}

export interface WrittenReport {
  readonly file: string;
  /** Figures without those of single jobs. */
  readonly document: Omit<Summary, 'jobs' | 'surfaces' | 'failed'> & {
    readonly experiment: string;
    readonly failed: number;
  };
  /** Labels and values for the terminal. */
  readonly lines: readonly [string, string][];
  readonly failed: number;
}

interface Drawing extends Chart {
  readonly spec: TopLevelSpec;
}

/** Writes report.md and its charts, each atomically, from the results so far. */
export async function writeReport({ experiment, items, records, out, config }: ReportInput): Promise<WrittenReport> {
  const summary = summarize(experiment, items, records);
  const charts = drawings(experiment, summary);
  for (const { file, spec } of charts) await writeFileAtomic(path.join(out, file), await renderSvg(spec));
  const file = path.join(out, 'report.md');
  const command = `npm run experiment -- --config ${config}`;
  await writeFileAtomic(file, toMarkdown(experiment, summary, { charts, command }));
  const { jobs: _, surfaces: __, failed, ...figures } = summary;
  return {
    file,
    document: { experiment: experiment.name, ...figures, failed: failed.length },
    lines: toLines(summary),
    failed: failed.length,
  };
}

function drawings({ strategies }: Experiment, summary: Summary): Drawing[] {
  const { jobs, surfaces, evolutions, baselines, further } = summary;
  const differences = further.registered?.differences ?? [];
  const names = { strategies: strategies.map(({ name }) => name), baselines };
  const withJobs: Drawing[] =
    jobs.length === 0
      ? []
      : [
          { file: 'quality.svg', title: 'Quality against wall time', text: QUALITY, spec: qualityChart(jobs, names) },
          { file: 'ttr.svg', title: 'Time to readiness', text: READINESS, spec: readinessChart(jobs, names) },
        ];
  const forest = { file: 'differences.svg', title: 'Differences with their intervals', text: DIFFERENCES };
  return [
    ...(differences.length === 0 ? [] : [{ ...forest, spec: forestChart(differences, 1) }]),
    ...withJobs,
    ...surfaces.map((surface, i) => ({
      file: `surface-${i + 1}.svg`,
      title: 'Where the search goes',
      text: SURFACE,
      spec: surfaceChart(surface, searchPath(surface, jobs)),
    })),
    ...(evolutions.length === 0
      ? []
      : [{ file: 'drift.svg', title: 'Drift', text: DRIFT, spec: driftChart(evolutions) }]),
  ];
}

const QUALITY =
  'The best value on the gate rows so far, as the mean over seeds. Curves begin when all seeds have a candidate, ' +
  'and a job that has ended keeps its last value. Dashed lines are the targets.';
const READINESS =
  'The share of all jobs that were ready by each time. A tick marks a job that spent its budget in vain; it still ' +
  'counts among all jobs.';
const SURFACE = 'The mean loss on the search rows over a grid of α and β, with the points that the search evaluated.';
const DIFFERENCES =
  'How many points on test rows `auto` is above each other strategy, with 95 % intervals: all jobs together ' +
  '(diamond), and those of each evolution and number of training rows. The dashed line is one point below.';
const DRIFT =
  '‖W_new − W_old‖ / ‖W_old‖ of every adaptable module. What is the same for several tenants is drawn once, ' +
  'under the name of the first.';
