import type { Logger } from '../../lib/logger.ts';

/** Periodic task that works in steps. Each step has a commit of its own. */
export interface HousekeepingTask {
  readonly name: string;
  /**
   * Runs until no work is left, another process does the same work, or the signal aborts.
   * @returns the number of removed rows or files by kind
   */
  run(signal: AbortSignal): Promise<Readonly<Record<string, number>>>;
}

export interface HousekeeperOptions {
  tasks: readonly HousekeepingTask[];
  logger: Logger;
  /** Time between two rounds, in milliseconds (default an hour). */
  intervalMs?: number;
  /** Time until the first round, in milliseconds (default a minute). */
  delayMs?: number;
  /**
   * Whether this process must skip its tasks, because its clock is wrong and it cannot judge the age of anything
   * (default: never).
   */
  isUnfit?: () => boolean;
  /** Called after each successful task. */
  onDone?: (task: string) => void;
}

export interface Housekeeper {
  start(): void;
  /** Stops after the running step. */
  stop(): Promise<void>;
}

/**
 * Creates the housekeeper, which runs all tasks one after the other in each round. If one fails, the others still run.
 */
export function createHousekeeper(options: HousekeeperOptions): Housekeeper {
  const { tasks, logger, intervalMs = 3_600_000, delayMs = 60_000, isUnfit = () => false } = options;
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  const round = async (): Promise<void> => {
    for (const task of tasks) {
      if (stopping.signal.aborted || isUnfit()) return;
      try {
        const removed = await task.run(stopping.signal);
        options.onDone?.(task.name);
        if (Object.values(removed).some((count) => count > 0)) logger.info({ task: task.name, removed }, 'cleaned up');
      } catch (error) {
        logger.warn({ err: error, task: task.name }, 'housekeeping failed; it is tried again in the next round');
      }
    }
  };
  const tick = (): void => {
    running = round().finally(() => {
      if (!stopping.signal.aborted) timer = setTimeout(tick, intervalMs);
    });
  };
  return {
    start: () => {
      timer ??= setTimeout(tick, delayMs);
    },
    stop: async () => {
      stopping.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
