import type { Logger } from './logger.ts';

/** What a process has opened and has to close at its end. */
export interface Closing {
  add(name: string, close: () => Promise<unknown>): void;
  /** Closes everything, the last opened first. A part that cannot be closed does not keep the others open. */
  run(): Promise<void>;
}

export function createClosing(logger: Logger): Closing {
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
