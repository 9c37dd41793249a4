import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import { measureReports } from './ended/reports.ts';
import { measureWaves } from './ended/waves.ts';
import { endedTables } from './ended/tables.ts';
import { measureHealth } from './health.ts';
import { benchCommand, type ServiceBenchOptions } from './options.ts';
import { measureFleet } from './fleet-load.ts';
import { measurePlan } from './plan.ts';
import { measurePolling } from './poll/measure.ts';
import { pollTables } from './poll/report.ts';
import { measureQueue } from './queue.ts';
import { healthTable, streamsTable, toMarkdown, type ServiceBenchDocument } from './report.ts';
import { measureStreams } from './streams.ts';
import { emptyQueues, requireEmptyQueues, startStack, type BenchStack } from './stack.ts';

const options = benchCommand().parse().opts<ServiceBenchOptions>();
const redisUrl = options.redis ?? null;
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const document: ServiceBenchDocument = {
  queue: redisUrl === null ? 'PostgreSQL' : 'Redis',
  cpu: os.cpus()[0]?.model ?? 'unknown',
  cores: os.cpus().length,
  load: [os.loadavg()[0] ?? 0, 0],
  plan: [],
  fleets: [],
  jobs: null,
  poll: null,
  streams: null,
  health: [],
  waves: [],
  reports: [],
};

async function withStack(work: (stack: BenchStack) => Promise<void>): Promise<void> {
  const stack = await startStack();
  if (redisUrl !== null) await requireEmptyQueues(redisUrl);
  try {
    await work(stack);
  } finally {
    if (redisUrl !== null) await emptyQueues(redisUrl);
    await stack.close();
  }
}

if (options.parts.includes('plan') || options.parts.includes('fleet')) {
  for (const adapters of options.adapters) {
    say(`plan: ${adapters} adapters`);
    await withStack(async (stack) => {
      const { figures, rolloutId } = await measurePlan(stack, redisUrl, adapters);
      document.plan.push(figures);
      if (!options.parts.includes('fleet')) return;
      say(`fleet: ${adapters} adapters`);
      document.fleets.push(await measureFleet(stack, redisUrl, { rolloutId, adapters }));
    });
  }
}
if (options.parts.includes('queue')) {
  say(`queue: ${options.jobs} jobs through ${options.workers} workers`);
  await withStack(async (stack) => {
    const { figures, rolloutId } = await measurePlan(stack, redisUrl, options.jobs);
    document.plan.push(figures);
    const jobs = await stack.db.job.findMany({ where: { rolloutId }, select: { id: true } });
    const ids = jobs.map(({ id }) => id);
    document.jobs = await measureQueue(stack, redisUrl, { ids, workers: options.workers });
  });
}
if (options.parts.includes('poll')) {
  const { polledJobs: jobs, rate, seconds } = options;
  say(`poll: ${rate} requests a second for ${seconds} s over ${jobs} jobs`);
  await withStack(async (stack) => void (document.poll = await measurePolling(stack, { jobs, rate, seconds })));
}
if (options.parts.includes('streams')) {
  const { streams, seconds } = options;
  say(`streams: ${streams} for ${seconds} s without events, and as long with some`);
  await withStack(async (stack) => void (document.streams = await measureStreams(stack, { streams, seconds })));
}
if (options.parts.includes('health')) {
  say('health: /healthz during the attacks of test/attack');
  document.health = await measureHealth();
}
if (options.parts.includes('waves')) {
  for (const adapters of options.adapters) {
    say(`waves: ${adapters} adapters in one wave`);
    await withStack(async (stack) => void document.waves.push(await measureWaves(stack, adapters)));
  }
}
if (options.parts.includes('reports')) {
  for (const adapters of options.adapters) {
    say(`reports: ${adapters} adapters`);
    await withStack(async (stack) => void document.reports.push(await measureReports(stack, redisUrl, adapters)));
  }
}
document.load[1] = os.loadavg()[0] ?? 0;
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(document, null, 2)}\n`);
const sections = [
  toMarkdown(document),
  ...(document.poll === null ? [] : [pollTables(document.poll)]),
  ...(document.streams === null ? [] : [streamsTable(document.streams)]),
  ...endedTables(document),
  ...(document.health.length === 0 ? [] : [healthTable(document.health)]),
];
process.stdout.write(`${sections.join('\n\n')}\n`);
