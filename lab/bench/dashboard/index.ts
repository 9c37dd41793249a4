import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { chromium } from 'playwright-core';
import { packagePath } from '../../../core/installation/package-path.ts';
import { positive } from '../positive.ts';
import { apiEnvironment } from '../service/plan.ts';
import { createPolledFleet } from '../service/poll/fleet.ts';
import { startProcess, startStack } from '../service/stack.ts';
import { addEvolution } from './add-evolution.ts';
import { measurePages, pagesOf, type PageFigures } from './measure-pages.ts';
import { measureTable, type TableFigures } from './measure-table.ts';

interface DashboardBenchOptions {
  /** Number of jobs of the rollout, and of adapters. */
  readonly jobs: number;
  /** Times that each page is opened. */
  readonly rounds: number;
  /** File to write all figures to. */
  readonly json?: string;
}

/** Time within which each page has to show its content, in milliseconds. */
const GOAL_MS = 1000;
const CHROMIUM = process.env.READAPT_CHROMIUM ?? '/usr/bin/chromium';
/** Time limits in milliseconds: for building the dashboard, and for the start of the service. */
const LIMITS = { build: 120_000, start: 60_000 };

const options = new Command('bench:dashboard')
  .description('Measure how soon each page of the dashboard shows its content, over one large rollout, in Chromium.')
  .option('--jobs <n>', 'Number of adapters, and of jobs of the rollout.', positive, 10_000)
  .option('--rounds <n>', 'How often each page is opened, each time by a browser that has stored nothing.', positive, 5)
  .option('--json <file>', 'Write all figures to this file.')
  .addHelpText('after', '\nThe exit code is 1 if a page took longer than a second (median of its rounds).')
  .parse()
  .opts<DashboardBenchOptions>();

process.stderr.write('building the dashboard …\n');
await promisify(execFile)('npm', ['run', 'build:dashboard'], { cwd: packagePath(), timeout: LIMITS.build }).catch(
  (cause: unknown) => {
    throw new Error('the dashboard cannot be built within two minutes: try `npm run build:dashboard`', { cause });
  },
);
const stack = await startStack();
try {
  process.stderr.write(`planning a rollout of ${options.jobs} jobs, and ending two thirds of them …\n`);
  const { rolloutId } = await createPolledFleet(stack.db, options.jobs);
  const versionId = await addEvolution(stack.db, rolloutId);
  const api = startProcess('processes/api-process.ts', apiEnvironment(stack, null));
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const { url, key } = await within(
      LIMITS.start,
      'the service has not started',
      api.next<{ url: string; key: string }>(),
    );
    const opened = await pagesOf({ url, key, rolloutId, versionId });
    process.stderr.write(`opening ${opened.length} pages ${options.rounds} times each …\n`);
    const pages = await measurePages(browser, opened, options.rounds);
    process.stderr.write('scrolling the table of jobs …\n');
    const scrolling = await measureTable(
      browser,
      opened.find(({ name }) => name === 'Rollout')!,
    );
    const document = {
      jobs: options.jobs,
      cpu: os.cpus()[0]?.model,
      cores: os.cpus().length,
      load: os.loadavg(),
      pages,
      scrolling,
    };
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(document, null, 2)}\n`);
    process.stdout.write(`${table(pages)}\n${tableOfScrolling(scrolling)}`);
    if (pages.some(({ medianMs }) => medianMs > GOAL_MS)) process.exitCode = 1;
  } finally {
    await browser.close();
    await api.stop();
  }
} finally {
  await stack.close();
}

/** Waits for `work` at most `ms` milliseconds. @throws Error with the text `what` if it takes longer */
async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${ms / 1000} s`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function table(pages: readonly PageFigures[]): string {
  const rows = pages.map(
    ({ name, medianMs, slowestMs }) => `| ${name} | ${Math.round(medianMs)} | ${Math.round(slowestMs)} |`,
  );
  return ['| page | content after ms (median) | slowest |', '| --- | ---: | ---: |', ...rows, ''].join('\n');
}

function tableOfScrolling({ frames, longShare, longestMs, rows, toMiddleMs, toEndMs }: TableFigures): string {
  return [
    '| table of jobs | |',
    '| --- | ---: |',
    `| rows that the wheel came down in five seconds | ${rows} |`,
    `| frames meanwhile | ${frames} |`,
    `| frames over 50 ms | ${(longShare * 100).toFixed(1)} % |`,
    `| longest frame, ms | ${Math.round(longestMs)} |`,
    `| rows are shown after a jump to the middle, ms | ${Math.round(toMiddleMs)} |`,
    `| rows are shown after a jump to the end, ms | ${Math.round(toEndMs)} |`,
    '',
  ].join('\n');
}
