import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 100;
/** Longest wait, in milliseconds: the first answers of a real engine may take minutes. */
const LONGEST_MS = 180_000;

/** Calls `look` until it finds something. @returns what it has found, or null after three minutes */
export async function until<T>(signal: AbortSignal, look: () => Promise<T | null>): Promise<T | null> {
  const deadline = Date.now() + LONGEST_MS;
  while (Date.now() < deadline) {
    signal.throwIfAborted();
    const seen = await look();
    if (seen !== null) return seen;
    await sleep(POLL_MS);
  }
  return null;
}
