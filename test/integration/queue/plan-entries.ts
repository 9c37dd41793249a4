import type { QueueEntry } from '../../../src/platform/queue/index.ts';
import type { RolloutLifecycle } from '../../../src/fleet/rollouts/index.ts';

type Plan = RolloutLifecycle['plan'];

/** Plans a rollout. @returns the queue jobs of all pages, not enqueued; null if the rollout is not to be planned */
export async function planEntries(
  lifecycle: RolloutLifecycle,
  rollout: Parameters<Plan>[0],
  refusals: Parameters<Plan>[1] = new Map(),
): Promise<QueueEntry[] | null> {
  const entries: QueueEntry[] = [];
  const jobs = await lifecycle.plan(rollout, refusals, (page) => Promise.resolve(void entries.push(...page)));
  return jobs === null ? null : entries;
}
