import { randomUUID } from 'node:crypto';
import { createJobLifecycle } from '../../../../src/fleet/job-control/job-lifecycle.ts';
import type { BenchStack } from '../stack.ts';
import { createEndedFleet } from './ended-fleet.ts';

/** Times of the end of a job in an almost finished wave with all conditions of `pause_if`, in milliseconds, sorted. */
export interface WavesFigures {
  readonly adapters: number;
  readonly endMs: readonly number[];
}

const ROUNDS = 40;
/** Number of jobs left open, so that the wave does not end: a finished wave is not judged. */
const OPEN = ROUNDS + 1;

export async function measureWaves(stack: BenchStack, adapters: number): Promise<WavesFigures> {
  const pauseIf = { unready_share: 0.5, metric_drop: 0.5, negative_flips: 0.5 };
  const policy = { waves: [{ percent: 100 }], pause_if: pauseIf };
  const rolloutId = await createEndedFleet(stack, { adapters, open: OPEN, options: { policy } });
  const lifecycle = createJobLifecycle({ db: stack.db });
  const jobs = await stack.db.job.findMany({
    where: { rolloutId, finishedAt: null },
    take: ROUNDS,
    select: { id: true },
  });
  const endMs: number[] = [];
  for (const { id } of jobs) {
    const lease = { jobId: id, owner: randomUUID() };
    if ((await lifecycle.claim(lease)) === null) throw new Error(`job ${id} cannot be claimed`);
    const began = performance.now();
    await lifecycle.end(lease, rolloutId, { state: 'not_ready' });
    endMs.push(performance.now() - began);
  }
  return { adapters, endMs: endMs.sort((a, b) => a - b) };
}
