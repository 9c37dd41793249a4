/**
 * Waits for `work`, and rejects with an Error that names `what` if it takes longer than `timeoutMs`. The work itself
 * goes on.
 */
export async function withTimeout<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export interface Deadline {
  /** Abort signal that fires with a `TimeoutError` as its reason when the time is up. */
  readonly signal: AbortSignal;
  clear(): void;
}

/**
 * Starts a deadline that runs until it is cleared and does not keep the process alive. `AbortSignal.timeout` would not
 * do: Node 20 loses its signal if only an `AbortSignal.any` refers to it.
 */
export function startDeadline(timeoutMs: number): Deadline {
  const controller = new AbortController();
  const end = (): void => controller.abort(new DOMException(`it took longer than ${timeoutMs} ms`, 'TimeoutError'));
  const timer = setTimeout(end, timeoutMs).unref();
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}

/** Whether the reason of an abort signal is that a deadline of `startDeadline` has passed. */
export function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError';
}
