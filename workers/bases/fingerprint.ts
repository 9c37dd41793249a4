import { once } from 'node:events';
import { modulePath, startThread } from '../../core/installation/child-module.ts';

/** The fingerprint of a base model, or what is wrong with its files. */
export type FingerprintAnswer = { readonly fingerprint: string } | { readonly problem: string };

/**
 * Reads the base model in a folder, in a thread of its own, because that takes minutes of a processor for a large one.
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
