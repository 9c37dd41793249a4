import type { Logger } from './logger.ts';

/** List of the resources that a process has opened and has to close when it ends. */
export interface Shutdown {
  add(name: string, close: () => Promise<unknown>): void;
  /**
   * Closes every resource on the list, the last opened first. A resource that fails to close is logged, and the others
   * are still closed.
   */
  run(): Promise<void>;
}

export function createShutdown(logger: Logger): Shutdown {
  const steps: { name: string; close: () => Promise<unknown> }[] = [];
  let running: Promise<void> | null = null;
  const closeAll = async (): Promise<void> => {
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
      const { name } = step;
      await step.close().catch((error: unknown) => logger.error({ err: error, part: name }, 'could not close'));
    }
  };
  return {
    add: (name, close) => steps.push({ name, close }),
    run: () => (running ??= closeAll()),
  };
}
