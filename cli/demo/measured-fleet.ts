import { setTimeout as sleep } from 'node:timers/promises';
import { listAdapterVersions } from '../../openapi/clients/typescript/src/index.ts';
import type { RegisteredFleet } from './register-fleet.ts';

const POLL_MS = 250;

/** The demo goes on after so long, because a job whose old version is not measured yet measures it itself. */
const LONGEST_MS = 60_000;

/**
 * Waits until the worker has measured the imported adapters on their gate rows, as it does while nothing else is to be done. Between an
 * import and the next version of a base there are days or months; in the demo there would be none.
 * @returns whether all of them are measured; if not, it has waited long enough
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
