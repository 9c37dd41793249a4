import { interruptible, InterruptedError } from '../process/interruption.ts';

/**
 * Runs `watch` until it returns or somebody stops it with Ctrl-C, which does not stop the rollout or job being watched.
 * @param goesOn message after Ctrl-C, such as `the service goes on`
 * @throws InterruptedError after Ctrl-C
 */
export async function untilInterrupted<T>(goesOn: string, watch: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return interruptible(async (signal) => {
    try {
      return await watch(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      process.stderr.write(`stopped watching; ${goesOn}\n`);
      throw signal.reason instanceof InterruptedError ? signal.reason : error;
    }
  });
}
