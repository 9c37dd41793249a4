import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 100;
/** The first answers of a real engine may take so long. */
const LONGEST_MS = 180_000;

/** Looks until there is something to see. @returns what was seen, or null if it was not there after three minutes */
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
