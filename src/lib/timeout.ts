/**
 * Rejects with an Error that names `what` if the work takes longer than `timeoutMs`. The work itself is not stopped.
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
  /** Aborts with a `TimeoutError` when the time is up. */
  readonly signal: AbortSignal;
  clear(): void;
}

/**
 * Starts the time of some work. In contrast to `AbortSignal.timeout`, whose signal Node 20 forgets where only an `AbortSignal.any` refers
 * to it, it comes until it is cleared. It does not keep the process alive.
 */
export function startDeadline(timeoutMs: number): Deadline {
  const controller = new AbortController();
  const end = (): void => controller.abort(new DOMException(`it took longer than ${timeoutMs} ms`, 'TimeoutError'));
  const timer = setTimeout(end, timeoutMs).unref();
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}
