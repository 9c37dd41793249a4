import type { ReportsFigures } from './ended/reports.ts';
import type { WavesFigures } from './ended/waves.ts';
import type { FleetFigures } from './fleet-load.ts';
import type { HealthFigures } from './health.ts';
import type { PlanFigures } from './plan.ts';
import type { PollFigures } from './poll/measure.ts';
import type { QueueFigures } from './queue.ts';
import type { LoadFigures, StreamFigures } from './streams.ts';

export interface ServiceBenchDocument {
  queue: 'PostgreSQL' | 'Redis';
  cpu: string;
  cores: number;
  /** One-minute load average before and after the run. */
  load: [number, number];
  plan: PlanFigures[];
  fleets: FleetFigures[];
  jobs: QueueFigures | null;
  poll: PollFigures | null;
  streams: StreamFigures | null;
  health: HealthFigures[];
  waves: WavesFigures[];
  reports: ReportsFigures[];
}

/** Writes the figures of a run as Markdown tables. */
export function toMarkdown(document: ServiceBenchDocument): string {
  const { queue, cpu, cores, load, plan, fleets, jobs } = document;
  const [before, after] = load.map((one) => one.toFixed(1));
  const head = `${cores} cores of ${cpu}, queue in ${queue}; load average ${before} before and ${after} after.`;
  const tables = [
    ...(plan.length > 0 ? [planTable(plan)] : []),
    ...(fleets.length > 0 ? [fleetTable(fleets)] : []),
    ...(jobs === null ? [] : [queueTable(jobs)]),
  ];
  return [head, ...tables].join('\n\n');
}

function planTable(plan: readonly PlanFigures[]): string {
  return table(
    [
      'adapters',
      'POST accepted, median',
      '95 %',
      'slowest',
      'planned and enqueued',
      'CPU of PostgreSQL',
      'CPU of the planner',
      'its peak memory',
      'of it for the planning',
    ],
    plan.map(({ adapters, acceptedMs, plannedMs, databaseCpuMs, plannerCpuMs, peakMiB, grownMiB }) => [
      adapters.toLocaleString('en'),
      milliseconds(quantile(acceptedMs, 0.5)),
      milliseconds(quantile(acceptedMs, 0.95)),
      milliseconds(quantile(acceptedMs, 1)),
      seconds(plannedMs),
      seconds(databaseCpuMs),
      seconds(plannerCpuMs),
      `${peakMiB.toFixed(0)} MiB`,
      `${grownMiB.toFixed(0)} MiB`,
    ]),
  );
}

function fleetTable(fleets: readonly FleetFigures[]): string {
  const rows = Object.keys(fleets[0]?.times ?? {});
  const spread = (times: readonly number[]): string => {
    if (times.length < 2) return milliseconds(times[0] ?? Number.NaN);
    return `${milliseconds(quantile(times, 0.5))} (95 %: ${milliseconds(quantile(times, 0.95))})`;
  };
  return table(
    ['median', ...fleets.map(({ adapters }) => `${adapters.toLocaleString('en')} adapters`)],
    rows.map((row) => [row, ...fleets.map(({ times }) => spread(times[row] ?? []))]),
  );
}

function queueTable({
  jobs,
  workers,
  seconds: took,
  lost,
  repeated,
  databaseCpuMs,
  workersCpuMs,
}: QueueFigures): string {
  return table(
    [
      'jobs',
      'workers',
      'time',
      'jobs a second',
      'lost',
      'run twice',
      'CPU of PostgreSQL a job',
      'CPU of workers a job',
    ],
    [
      [
        jobs.toLocaleString('en'),
        String(workers),
        seconds(took * 1000),
        (jobs / took).toFixed(0),
        String(lost),
        String(repeated),
        milliseconds(databaseCpuMs / jobs),
        milliseconds(workersCpuMs / jobs),
      ],
    ],
  );
}

/** Writes the attacks as a table, the worst first. */
export function healthTable(figures: readonly HealthFigures[]): string {
  const slowestFirst = [...figures].sort((a, b) => b.longestHealthMs - a.longestHealthMs);
  return table(
    ['attack', 'slowest /healthz', 'memory grown by'],
    slowestFirst.map(({ attack, longestHealthMs, grownBytes }) => [
      attack,
      `${longestHealthMs.toFixed(0)} ms`,
      `${Math.round(grownBytes / 2 ** 20)} MiB`,
    ]),
  );
}

export function streamsTable(figures: StreamFigures): string {
  const { streams, tenants, bytesEach, without, idle, busy, latenciesMs } = figures;
  const row = (
    open: string,
    { seconds: duration, events, queries, apiCpuMs, databaseCpuMs }: LoadFigures,
  ): string[] => [
    open,
    (events / duration).toFixed(1),
    (queries / duration).toFixed(1),
    `${(apiCpuMs / duration / 10).toFixed(1)} %`,
    `${(databaseCpuMs / duration / 10).toFixed(1)} %`,
  ];
  const open = `${streams.toLocaleString('en')} of ${tenants} tenants`;
  const [median, slow] = [0.5, 0.99].map((share) => milliseconds(quantile(latenciesMs, share)));
  return [
    table(
      ['streams', 'events a second', 'queries a second', 'CPU of the API', 'of PostgreSQL'],
      [row('none', without), row(open, idle), row(open, busy)],
    ),
    `A stream takes ${(bytesEach / 1024).toFixed(0)} KiB of the API's memory. From the commit of an event to its ` +
      `arrival: ${median} at the median and ${slow} at 99 %, of ${latenciesMs.length.toLocaleString('en')} arrivals.`,
  ].join('\n\n');
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Quantile of sorted values, NaN if there are none. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
