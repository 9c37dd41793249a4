import { interruptible, InterruptedError } from '../process/interruption.ts';

/**
 * Watches something until it is over or somebody stops watching, which changes nothing of what is watched.
 * @param goesOn what is said then
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
