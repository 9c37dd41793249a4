import { setTimeout as sleep } from 'node:timers/promises';
import { listAdapterVersions } from '../../openapi/clients/typescript/src/index.ts';
import type { RegisteredFleet } from './register-fleet.ts';

const POLL_MS = 250;

/**
 * Longest wait for the measurements, in milliseconds. The demo then continues, because a job measures its old version
 * itself if necessary.
 */
const LONGEST_MS = 60_000;

/**
 * Waits until the worker has measured the imported adapters on their gate rows, which it does while it is idle. In
 * production, days or months lie between an import and the next base version; the demo has to wait.
 * @returns whether all adapters are measured; false after the longest wait
 */
export async function untilMeasured(
  { operator, adapters }: Pick<RegisteredFleet, 'operator' | 'adapters'>,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = Date.now() + LONGEST_MS;
  const waiting = new Set(adapters.keys());
  for (;;) {
    for (const id of waiting) {
      const { data } = await listAdapterVersions({ client: operator, path: { id } });
      if (data.every(({ gate_value }) => gate_value !== null)) waiting.delete(id);
    }
    if (waiting.size === 0 || Date.now() > deadline) return waiting.size === 0;
    await sleep(POLL_MS);
    signal.throwIfAborted();
  }
}
