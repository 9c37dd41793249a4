import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import { Command } from 'commander';
import { positive } from '../positive.ts';
import { apiEnvironment } from '../service/plan.ts';
import { createPolledFleet } from '../service/poll/fleet.ts';
import { startProcess, startStack } from '../service/stack.ts';
import { measurePages, type PageFigures } from './measure-pages.ts';

interface DashboardBenchOptions {
  /** Number of jobs of the rollout, and of adapters. */
  readonly jobs: number;
  /** How often each page is opened. */
  readonly rounds: number;
  /** File to write all figures to. */
  readonly json?: string;
}

/** Each page has to show its content within this time, in milliseconds. */
const GOAL_MS = 1000;

const options = new Command('bench:dashboard')
  .description('Measure how soon each page of the dashboard shows its content, over one large rollout, in Chromium.')
  .option('--jobs <n>', 'Number of adapters, and of jobs of the rollout.', positive, 10_000)
  .option('--rounds <n>', 'How often each page is opened, each time by a browser that has stored nothing.', positive, 5)
  .option('--json <file>', 'Write all figures to this file.')
  .addHelpText('after', '\nThe exit code is 1 if a page took longer than a second (median of its rounds).')
  .parse()
  .opts<DashboardBenchOptions>();

const stack = await startStack();
try {
  process.stderr.write(`planning a rollout of ${options.jobs} jobs, and ending two thirds of them …\n`);
  const { rolloutId } = await createPolledFleet(stack.db, options.jobs);
  const api = startProcess('processes/api-process.ts', apiEnvironment(stack, null));
  try {
    const { url, key } = await api.next<{ url: string; key: string }>();
    const pages = await measurePages({ url, key, rolloutId, rounds: options.rounds });
    const document = {
      jobs: options.jobs,
      cpu: os.cpus()[0]?.model,
      cores: os.cpus().length,
      load: os.loadavg(),
      pages,
    };
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(document, null, 2)}\n`);
    process.stdout.write(table(pages));
    if (pages.some(({ medianMs }) => medianMs > GOAL_MS)) process.exitCode = 1;
  } finally {
    await api.stop();
  }
} finally {
  await stack.close();
}

function table(pages: readonly PageFigures[]): string {
  const rows = pages.map(
    ({ name, medianMs, slowestMs }) => `| ${name} | ${Math.round(medianMs)} | ${Math.round(slowestMs)} |`,
  );
  return ['| page | content after ms (median) | slowest |', '| --- | ---: | ---: |', ...rows, ''].join('\n');
}
