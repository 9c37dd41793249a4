import type { Logger } from '../../lib/logger.ts';

/** Something that is done from time to time, in steps that each commit. */
export interface HousekeepingTask {
  readonly name: string;
  /**
   * Goes on until nothing is left to do, until another process is at it, or until the signal aborts.
   * @returns how much of what was removed
   */
  run(signal: AbortSignal): Promise<Readonly<Record<string, number>>>;
}

export interface HousekeeperOptions {
  tasks: readonly HousekeepingTask[];
  logger: Logger;
  /** Time between two rounds, in milliseconds. */
  intervalMs?: number;
  /** Time until the first round, in milliseconds. */
  delayMs?: number;
  /** Whether this process must not judge how old something is, because its clock is wrong (default: never). */
  isUnfit?: () => boolean;
  /** Is told of each task that has ended well. */
  onDone?: (task: string) => void;
}

export interface Housekeeper {
  start(): void;
  /** Waits for the running step. */
  stop(): Promise<void>;
}

/** Runs tasks one after the other, once an hour. A task that fails does not keep the others from running. */
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
