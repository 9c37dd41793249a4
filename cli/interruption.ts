import { constants } from 'node:os';

/** Ctrl-C, or a polite `kill`. */
export class InterruptedError extends Error {
  readonly code = 'interrupted';
  /** As a shell has it: 128 and the number of the signal. */
  readonly exitCode: number;

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super('interrupted');
    this.name = 'InterruptedError';
    this.exitCode = 128 + constants.signals[signal];
  }
}

/**
 * Gives `use` a signal that aborts with an {@link InterruptedError} at SIGINT or SIGTERM, so that it can clean up. The
 * second one ends the process at once.
 */
export async function interruptible<T>(use: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interrupt = (signal: NodeJS.Signals): void => {
    stopListening();
    controller.abort(new InterruptedError(signal as 'SIGINT' | 'SIGTERM'));
  };
  const stopListening = (): void => {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  };
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    return await use(controller.signal);
  } finally {
    stopListening();
  }
}
