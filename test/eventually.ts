import { setTimeout as sleep } from 'node:timers/promises';
import { PATIENCE_MS } from './patience.ts';

/**
 * Polls until the condition holds and returns its value. A failure names the condition. Longer waits poll less often,
 * which leaves the processor to the work in progress.
 */
export async function eventually<T>(
  what: string,
  condition: () => Promise<T | null | undefined | false>,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const start = Date.now();
  for (;;) {
    const found = await condition();
    if (found !== null && found !== undefined && found !== false) return found;
    const waitedMs = Date.now() - start;
    if (waitedMs > timeoutMs) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await sleep(Math.min(100, Math.max(25, waitedMs / 20)));
  }
}
