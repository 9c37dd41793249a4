import type { Logger } from '../../lib/logger.ts';

/** Task that cleans up and is run again and again. It works in steps, each in a transaction of its own. */
export interface HousekeepingTask {
  readonly name: string;
  /**
   * Runs the task until no work is left, another process turns out to do the same work, or the signal aborts.
   * @returns the numbers of removed rows or files, by their kind
   */
  run(signal: AbortSignal): Promise<Readonly<Record<string, number>>>;
}

export interface HousekeeperOptions {
  tasks: readonly HousekeepingTask[];
  logger: Logger;
  /** Time from the end of one round of all tasks to the next round, in milliseconds (default an hour). */
  intervalMs?: number;
  /** Time from the start to the first round, in milliseconds (default a minute). */
  delayMs?: number;
  /**
   * Whether this process must not run the tasks now, because its clock is wrong, so that it cannot judge the age of
   * data (default: never).
   */
  isUnfit?: () => boolean;
  /** Receives the name of each task that has succeeded. */
  onDone?: (task: string) => void;
}

export interface Housekeeper {
  start(): void;
  /** Stops the housekeeper after the step that is running. */
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
