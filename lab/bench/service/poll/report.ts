import { milliseconds, quantile, table } from '../report.ts';
import type { PollFigures } from './measure.ts';
import { shareOf } from './mix.ts';

/** Writes the figures of the polling as Markdown tables. */
export function pollTables(figures: PollFigures): string {
  return [load(figures), kinds(figures), unchanged(figures)].join('\n\n');
}

function load({ jobs, rate, seconds, achieved, cpu, kinds: all }: PollFigures): string {
  const latencies = all.flatMap(({ latenciesMs }) => latenciesMs).sort((a, b) => a - b);
  const each = (ms: number): string => milliseconds(ms / latencies.length);
  const share = (ms: number): string => `${((ms / 10 / latencies.length) * achieved).toFixed(0)} %`;
  return table(
    [
      'jobs',
      'due',
      'answered',
      'p50',
      'p95',
      'p99',
      'slowest',
      'CPU of the API',
      'of PostgreSQL',
      'of the training',
      'of the load',
    ],
    [
      [
        jobs.toLocaleString('en'),
        `${rate} a second for ${seconds} s`,
        `${achieved.toFixed(0)} a second`,
        ...[0.5, 0.95, 0.99, 1].map((part) => milliseconds(quantile(latencies, part))),
        `${each(cpu.api)} a request`,
        `${each(cpu.database)} a request`,
        `${share(cpu.training)} of a core`,
        `${each(cpu.load)} a request`,
      ],
    ],
  );
}

function kinds({ kinds: all }: PollFigures): string {
  return table(
    ['request', 'share', 'p50', 'p95', 'p99', 'slowest', 'statuses'],
    all.map(({ kind, latenciesMs, statuses }) => [
      kind,
      `${shareOf(kind)} %`,
      ...[0.5, 0.95, 0.99, 1].map((part) => milliseconds(quantile(latenciesMs, part))),
      Object.entries(statuses)
        .map(([status, count]) => `${status}: ${count.toLocaleString('en')}`)
        .join(', '),
    ]),
  );
}

function unchanged({ unchanged: costs }: PollFigures): string {
  const part = (value: number): string => value.toFixed(3);
  return table(
    ['resource', 'caller', 'CPU of a 200', 'of one made before', 'of a 304', '304 / 200 (95 %)'],
    costs.map(({ resource, caller, madeMs, keptMs, unchangedMs, ratio }) => [
      resource,
      caller,
      milliseconds(madeMs),
      milliseconds(keptMs),
      milliseconds(unchangedMs),
      `${part(ratio.mean)} (${part(ratio.low)} to ${part(ratio.high)})`,
    ]),
  );
}
