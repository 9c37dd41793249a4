import type { Logger } from '../lib/logger.ts';

/** Times in milliseconds. */
export interface QuarantineOptions {
  /** Delay of a job after the first fault that this worker's machine causes it; it doubles with each further one. */
  readonly firstDelayMs?: number;
  readonly longestDelayMs?: number;
  /** Number of faults in a row, without a job that succeeds, after which the worker claims no more jobs. */
  readonly faults?: number;
  /** How long it claims none the first time. It tries one job then; if that fails too, it claims none for twice as long. */
  readonly firstMs?: number;
  readonly longestMs?: number;
}

export interface Quarantine {
  /** Whether the worker claims no jobs now. */
  readonly active: boolean;
  /** Counts a fault of the machine. @returns the delay of the job that met it */
  fault(jobId: string, reason: string): number;
  /** Forgets the faults: the machine has done a job. */
  success(jobId: string): void;
  stop(): void;
}

/** Number of jobs whose delays are remembered. */
const REMEMBERED = 10_000;

/**
 * Keeps a worker with a sick machine from taking one job after the other from its healthy colleagues. `pause` stops the
 * worker from claiming jobs, and `resume` lets it.
 */
export function createQuarantine(
  logger: Logger,
  { pause, resume }: { pause: () => void; resume: () => void },
  options: QuarantineOptions = {},
): Quarantine {
  const { firstDelayMs = 5000, longestDelayMs = 300_000, faults = 3, firstMs = 30_000, longestMs = 600_000 } = options;
  /** Number of faults of each job. */
  const jobs = new Map<string, number>();
  let inARow = 0;
  let timer: NodeJS.Timeout | undefined;

  const begin = (reason: string): void => {
    const ms = doubled(firstMs, inARow - faults, longestMs);
    logger.error({ reason, faults: inARow, forMs: ms }, 'worker quarantined: faults of its machine, it claims no jobs');
    timer = setTimeout(() => {
      timer = undefined;
      logger.warn('quarantine over: the worker tries a job');
      resume();
    }, ms);
    pause();
  };
  return {
    get active() {
      return timer !== undefined;
    },
    fault(jobId, reason) {
      const count = (jobs.get(jobId) ?? 0) + 1;
      jobs.delete(jobId);
      jobs.set(jobId, count);
      const [oldest] = jobs.keys();
      if (jobs.size > REMEMBERED && oldest !== undefined) jobs.delete(oldest);
      inARow++;
      if (inARow >= faults && timer === undefined) begin(reason);
      return doubled(firstDelayMs, count - 1, longestDelayMs);
    },
    success(jobId) {
      jobs.delete(jobId);
      if (inARow >= faults) logger.info('the machine has done a job again');
      inARow = 0;
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

function doubled(first: number, times: number, longest: number): number {
  return Math.min(longest, first * 2 ** Math.min(30, times));
}
