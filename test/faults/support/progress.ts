import { setTimeout as sleep } from 'node:timers/promises';
import { rolloutsBeside } from './newer-version.ts';
import type { FaultStack } from './stack.ts';

/** How long a rollout may do nothing new before it counts as stuck, however busy the machine is. */
const STUCK_MS = 90_000;

/**
 * Waits until a rollout is over. @throws Error if it does nothing new for a while: measure a point for the first time, publish, or end
 * a job. An attempt that only repeats what others have done is nothing new, so a rollout that runs in circles is found, too.
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

/** A number that only grows, of all rollouts of the same base model. */
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
