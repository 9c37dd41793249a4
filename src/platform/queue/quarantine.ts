import type { Logger } from '../../lib/logger.ts';
import { backoff } from '../../lib/backoff.ts';

/** Options of the quarantine. All times are in milliseconds. */
export interface QuarantineOptions {
  /**
   * Delay of an entry after the first time that a fault of this worker's machine has made it fail. Each further fault
   * of the machine with the same entry doubles the delay.
   */
  readonly firstDelayMs?: number;
  readonly longestDelayMs?: number;
  /**
   * Number of faults in a row, without a successful entry in between, after which the worker claims no more entries.
   */
  readonly faults?: number;
  /**
   * Duration of the first quarantine, in which the worker claims no entries. Afterwards the worker tries an entry
   * again. If the machine fails at that one too, the next quarantine is twice as long.
   */
  readonly firstMs?: number;
  readonly longestMs?: number;
}

export interface Quarantine {
  /**
   * Reason why the worker claims no entries now, and the end of the quarantine (null if unknown). Null if it claims
   * entries.
   */
  readonly active: { readonly reason: string; readonly until: Date | null } | null;
  /**
   * Counts a fault of the machine, and quarantines the worker after too many faults in a row.
   * @returns the delay before the entry that met the fault is tried again, in milliseconds
   */
  fault(jobId: string, reason: string): number;
  /**
   * Forgets the entry's faults and counts faults in a row from zero again, because this machine has completed the
   * entry.
   */
  success(jobId: string): void;
  /**
   * Ends the quarantine and forgets the faults, because somebody has repaired the machine. A quarantine by {@link hold}
   * continues.
   */
  lift(): void;
  /** Quarantines the worker for a reason that can be checked, such as its clock, until `hold` is called with null. */
  hold(reason: string | null): void;
  stop(): void;
}

/** Largest number of entries whose faults are remembered. */
const REMEMBERED = 10_000;

/**
 * Creates the quarantine of a worker. It keeps a worker with a faulty machine from taking one entry after the other
 * away from healthy workers. `pause` stops the worker from claiming entries, and `resume` lets it claim them again.
 */
export function createQuarantine(
  logger: Logger,
  { pause, resume }: { pause: () => void; resume: () => void },
  options: QuarantineOptions = {},
): Quarantine {
  const { firstDelayMs = 5000, longestDelayMs = 300_000, faults = 3, firstMs = 30_000, longestMs = 600_000 } = options;
  /** Number of faults that this machine has caused to each entry, by the entry's identifier. */
  const jobs = new Map<string, number>();
  let inARow = 0;
  let timer: NodeJS.Timeout | undefined;
  let active: Quarantine['active'] = null;
  let held: string | null = null;

  const begin = (reason: string): void => {
    const ms = backoff(firstMs, inARow - faults + 1, longestMs);
    logger.error({ reason, faults: inARow, forMs: ms }, 'worker quarantined: faults of its machine, it claims no jobs');
    active = { reason, until: new Date(Date.now() + ms) };
    timer = setTimeout(() => {
      timer = undefined;
      active = null;
      logger.warn('quarantine over: the worker tries a job');
      if (held === null) resume();
    }, ms);
    pause();
  };
  return {
    get active() {
      return held === null ? active : { reason: held, until: null };
    },
    fault(jobId, reason) {
      const count = (jobs.get(jobId) ?? 0) + 1;
      jobs.delete(jobId);
      jobs.set(jobId, count);
      const [oldest] = jobs.keys();
      if (jobs.size > REMEMBERED && oldest !== undefined) jobs.delete(oldest);
      inARow++;
      if (inARow >= faults && timer === undefined) begin(reason);
      return backoff(firstDelayMs, count, longestDelayMs);
    },
    success(jobId) {
      jobs.delete(jobId);
      if (inARow >= faults) logger.info('the machine has done a job again');
      inARow = 0;
    },
    lift() {
      jobs.clear();
      inARow = 0;
      if (active === null) return;
      clearTimeout(timer);
      timer = undefined;
      active = null;
      logger.warn('quarantine lifted: the worker takes jobs again');
      if (held === null) resume();
    },
    hold(reason) {
      const before = held;
      held = reason;
      if (before === null && reason !== null) {
        logger.error({ reason }, 'worker quarantined: it claims no jobs until this is mended');
        pause();
      } else if (before !== null && reason === null) {
        logger.warn({ was: before }, 'quarantine over: its reason is mended');
        if (active === null) resume();
      }
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
      active = null;
    },
  };
}
