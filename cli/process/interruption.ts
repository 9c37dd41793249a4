import { constants } from 'node:os';
import { whenLauncherEnds } from './launcher.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
type Signal = (typeof SIGNALS)[number];

/**
 * Time within which a second signal counts as a repetition of the first, in milliseconds: npm repeats the signal that
 * the terminal has sent to the whole process group.
 */
const SAME_SIGNAL_MS = 1000;

/** Error for a command that was interrupted by Ctrl-C or `kill`. */
export class InterruptedError extends Error {
  readonly code = 'interrupted';
  readonly exitCode: number;

  constructor(signal: Signal) {
    super('interrupted');
    this.name = 'InterruptedError';
    this.exitCode = exitCodeOf(signal);
  }
}

/**
 * Calls `handle` at the first SIGINT or SIGTERM. Another one, a second or more later, ends the process at once. If npm
 * has started this process, the end of npm counts as SIGTERM.
 * @returns a function that stops listening
 */
export function onInterrupt(handle: (signal: Signal) => void): () => void {
  let since: number | null = null;
  const listener = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (since !== null && now - since >= SAME_SIGNAL_MS) process.exit(exitCodeOf(signal as Signal));
    if (since !== null) return;
    since = now;
    handle(signal as Signal);
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  const stopWatching = whenLauncherEnds(() => since === null && listener('SIGTERM'));
  return () => {
    for (const signal of SIGNALS) process.off(signal, listener);
    stopWatching();
  };
}

/**
 * Calls `use` with a signal that aborts with an {@link InterruptedError} at SIGINT or SIGTERM, so that `use` can clean
 * up.
 */
export async function interruptible<T>(use: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stopListening = onInterrupt((signal) => controller.abort(new InterruptedError(signal)));
  try {
    return await use(controller.signal);
  } finally {
    // An interrupted process is about to end by itself. A repeated signal must not cut that short, so keep listening.
    if (!controller.signal.aborted) stopListening();
  }
}

/** Returns the exit code that shells use: 128 plus the number of the signal. */
function exitCodeOf(signal: Signal): number {
  return 128 + constants.signals[signal];
}
