import { once } from 'node:events';
import { modulePath, startThread } from '../../core/installation/child-module.ts';

/** Result of reading a base model's files: its fingerprint, or why they cannot be used. */
export type FingerprintAnswer = { readonly fingerprint: string } | { readonly problem: string };

/**
 * Reads the base model in a folder in a thread of its own, because a large one takes minutes of a processor.
 * @throws the signal's reason; an error of the file system
 */
export async function fingerprintOf(folder: string, signal: AbortSignal): Promise<FingerprintAnswer> {
  const thread = startThread(modulePath('./fingerprint-thread', import.meta.url), { workerData: folder });
  try {
    const [answer] = (await once(thread, 'message', { signal })) as [FingerprintAnswer];
    return answer;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    await thread.terminate();
  }
}
