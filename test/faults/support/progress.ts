import { setTimeout as sleep } from 'node:timers/promises';
import { rolloutsBeside } from './newer-version.ts';
import type { FaultStack } from './stack.ts';

/** Time without progress after which a rollout counts as stuck, even on a busy machine. */
const STUCK_MS = 90_000;

/**
 * Waits until a rollout is over. Progress means a metric point measured for the first time, a publication, or the end
 * of a job. Repeated work of later attempts does not count, so a rollout that runs in circles is detected.
 * @throws Error if there is no progress for a while
 */
export async function untilOver(
  stack: FaultStack,
  rolloutId: string,
  isOver: () => Promise<boolean>,
  stuckMs = STUCK_MS,
): Promise<void> {
  let [most, since] = [-1, performance.now()];
  while (!(await isOver().catch(() => false))) {
    const done = await progressOf(stack, rolloutId).catch(() => most);
    if (done > most) [most, since] = [done, performance.now()];
    if (performance.now() - since > stuckMs) throw new Error(`the rollout did nothing new for ${stuckMs / 1000} s`);
    await sleep(50);
  }
}

/** Progress counter over all rollouts of the same base model. It only grows. */
async function progressOf(stack: FaultStack, rolloutId: string): Promise<number> {
  const { db } = stack;
  const rollouts = await rolloutsBeside(stack, rolloutId);
  const job = { rolloutId: { in: rollouts.map(({ id }) => id) } };
  const counts = await Promise.all([
    db.job.count({ where: job }),
    db.job.count({ where: { ...job, finishedAt: { not: null } } }),
    db.metricPoint.count({ where: { job } }),
    db.adapterVersion.count({ where: { job } }),
  ]);
  return counts.reduce((sum, count) => sum + count, 0);
}
