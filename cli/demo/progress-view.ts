import logUpdate from 'log-update';
import { isEndOfJob, type Job } from '../../openapi/clients/typescript/src/index.ts';
import { percent } from '../output.ts';

/** Shows the state of every job: on a terminal as a block that redraws itself, elsewhere as a line per change. */
export interface ProgressView {
  update(jobs: readonly Job[], elapsedMs: number): void;
  close(): void;
}

export function createProgressView(stream: NodeJS.WriteStream): ProgressView {
  return stream.isTTY ? blockView() : lineView(stream);
}

function blockView(): ProgressView {
  return {
    update: (jobs, elapsedMs) => logUpdate(jobs.map((job) => describe(job, elapsedMs)).join('\n')),
    close: () => logUpdate.done(),
  };
}

/** Minimum time between two lines about a job whose state has not changed. */
const QUIET_MS = 3000;

function lineView(stream: NodeJS.WriteStream): ProgressView {
  const shown = new Map<string, { state: string; step: number; at: number }>();
  return {
    update(jobs, elapsedMs) {
      for (const job of jobs) {
        const last = shown.get(job.id);
        const isNews = last?.state !== job.state && (last === undefined || isEndOfJob(job.state));
        const isDue =
          last !== undefined && elapsedMs - last.at >= QUIET_MS && !isEndOfJob(job.state) && job.state !== 'queued';
        if (!isNews && !isDue) continue;
        shown.set(job.id, { state: job.state, step: job.step, at: elapsedMs });
        stream.write(`${describe(job, elapsedMs)}\n`);
      }
    },
    close: () => {},
  };
}

function describe(job: Job, elapsedMs: number): string {
  const ended = isEndOfJob(job.state);
  const elapsed = ended ? Object.values(job.phases).reduce((sum, phase) => sum + phase, 0) : elapsedMs;
  return [
    `${(elapsed / 1000).toFixed(1).padStart(6)} s`,
    displayName(job).padEnd(28),
    job.state.padEnd(12),
    (ended ? '' : job.phase).padEnd(11),
    (job.step > 0 ? `step ${job.step}/${job.total_steps}` : '').padEnd(13),
    job.metric.best === null ? '' : `${job.metric.name} ${percent(job.metric.best)}`,
  ]
    .join('  ')
    .trimEnd();
}

export function displayName(job: Pick<Job, 'adapter_name' | 'kind'>): string {
  return `${job.adapter_name}${job.kind === 'control' ? ' (control)' : ''}`;
}
