import type { HealthFigures } from './health.ts';
import type { PlanFigures } from './plan.ts';
import type { PollFigures } from './poll/measure.ts';
import type { QueueFigures } from './queue.ts';

export interface ServiceBenchDocument {
  queue: 'PostgreSQL' | 'Redis';
  cpu: string;
  cores: number;
  /** Load averages of the last minute, before and after. */
  load: [number, number];
  plan: PlanFigures[];
  jobs: QueueFigures | null;
  poll: PollFigures | null;
  health: HealthFigures[];
}

/** The figures of a run as Markdown tables. */
export function toMarkdown(document: ServiceBenchDocument): string {
  const { queue, cpu, cores, load, plan, jobs } = document;
  const head = `${cores} cores of ${cpu}, queue in ${queue}; load average ${load[0].toFixed(1)} before and ${load[1].toFixed(1)} after.`;
  return [head, ...(plan.length > 0 ? [planTable(plan)] : []), ...(jobs === null ? [] : [queueTable(jobs)])].join(
    '\n\n',
  );
}

function planTable(plan: readonly PlanFigures[]): string {
  return table(
    ['adapters', 'POST accepted, median', '95 %', 'slowest', 'jobs inserted', 'enqueued', 'together'],
    plan.map(({ adapters, acceptedMs, plannedMs, enqueuedMs }) => [
      adapters.toLocaleString('en'),
      milliseconds(quantile(acceptedMs, 0.5)),
      milliseconds(quantile(acceptedMs, 0.95)),
      milliseconds(quantile(acceptedMs, 1)),
      seconds(plannedMs),
      seconds(enqueuedMs),
      seconds(plannedMs + enqueuedMs),
    ]),
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

/** The attacks, the worst first. */
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

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** @param sorted values in order */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
