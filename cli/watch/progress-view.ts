import logUpdate from 'log-update';
import { isEndOfJob, type Job } from '../../openapi/clients/typescript/src/index.ts';
import { percent } from '../screen/output.ts';
import { painterOf, paintState, plain, type Paint } from '../screen/paint.ts';
import { cut, terminalSize } from '../screen/table.ts';

/** Shows the state of every job: on a terminal as a block that redraws itself, elsewhere as a line per change. */
export interface ProgressView {
  /**
   * Shows the current jobs.
   * @param heading lines above the jobs; without a terminal, a line is printed whenever it changes
   */
  update(jobs: readonly Job[], elapsedMs: number, heading?: readonly string[]): void;
  close(): void;
}

export function createProgressView(stream: NodeJS.WriteStream): ProgressView {
  return stream.isTTY ? blockView(stream) : lineView(stream);
}

function blockView(stream: NodeJS.WriteStream): ProgressView {
  const paint = painterOf(stream);
  return {
    update(jobs, elapsedMs, heading = []) {
      const size = terminalSize(stream);
      // The cursor takes a line of its own.
      const rows = size.rows - heading.length - 1;
      const shown = jobs.length <= rows ? jobs : mostTelling(jobs, rows - 1);
      const width = size.columns;
      const hidden = jobs.length - shown.length;
      logUpdate(
        [
          ...heading.map((line) => cut(line, width)),
          ...shown.map((job) => colored(job, cut(describe(job, elapsedMs), width), paint)),
          ...(hidden > 0 ? [cut(`… and ${hidden} more jobs`, width)] : []),
        ].join('\n'),
      );
    },
    close: () => logUpdate.done(),
  };
}

/** Colors the state within the line of a job. */
function colored({ state }: Job, line: string, paint: Paint): string {
  return paint === plain ? line : line.replace(` ${state} `, ` ${paintState(paint, state)} `);
}

/**
 * Picks the jobs to show if there is no room for all: running ones first, then those that ended without success, then
 * waiting and ready ones.
 */
function mostTelling(jobs: readonly Job[], room: number): Job[] {
  const rank = ({ state }: Job): number => {
    if (state === 'ready') return 3;
    if (state === 'queued' || state === 'held') return 2;
    return isEndOfJob(state) ? 1 : 0;
  };
  return [...jobs].sort((a, b) => rank(a) - rank(b)).slice(0, Math.max(1, room));
}

/**
 * Shortest time, in milliseconds, between two lines about a job that stays in the same state while its other figures
 * change.
 */
const QUIET_MS = 3000;

function lineView(stream: NodeJS.WriteStream): ProgressView {
  const shown = new Map<string, { state: string; told: string; at: number }>();
  let said: readonly string[] = [];
  return {
    update(jobs, elapsedMs, heading = []) {
      for (const line of heading) if (!said.includes(line)) stream.write(`${line}\n`);
      said = heading;
      for (const job of jobs) {
        const last = shown.get(job.id);
        const told = describe(job, 0);
        const isNews = last?.state !== job.state && (last === undefined || isEndOfJob(job.state));
        const isDue = last !== undefined && last.told !== told && elapsedMs - last.at >= QUIET_MS;
        if (!isNews && !isDue) continue;
        shown.set(job.id, { state: job.state, told, at: elapsedMs });
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

/** Sorts the jobs of a rollout: adaptations in the order in which they were planned, then controls. */
export function inPlannedOrder(jobs: Iterable<Job>): Job[] {
  return [...jobs].sort((a, b) => (a.kind === b.kind ? (a.id < b.id ? -1 : 1) : a.kind === 'control' ? 1 : -1));
}

export function displayName(job: Pick<Job, 'adapter_name' | 'kind'>): string {
  return `${job.adapter_name}${job.kind === 'control' ? ' (control)' : ''}`;
}
