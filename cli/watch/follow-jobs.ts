import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, type ReadaptClient, type Rollout } from '../remote/client.ts';

export interface FollowOptions {
  readonly client: ReadaptClient;
  readonly rolloutId: string;
  readonly signal: AbortSignal;
}

/** State of a rollout, with the jobs that have changed since the previous view; the first view has all jobs. */
export interface RolloutView {
  readonly rollout: Rollout;
  readonly changed: readonly Job[];
}

const POLL_MS = 1000;
const PAGE = 200;

/**
 * Yields the state of a rollout and its jobs, including controls, every second without end. Asks only for changed jobs,
 * so that a fleet of any size costs two small requests a second.
 * @throws ProblemError, or the signal's reason
 */
export async function* pollRollout({ client, rolloutId, signal }: FollowOptions): AsyncGenerator<RolloutView, never> {
  const { getRollout } = await import('../remote/client.ts');
  let position = '0';
  for (;;) {
    // Reads the rollout first: if it has ended, the jobs read after it are in their final states.
    const rollout = await getRollout({ client, path: { id: rolloutId }, signal });
    const changes = await changedJobs({ client, rolloutId, signal }, position);
    position = changes.position;
    yield { rollout, changed: changes.jobs };
    await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

async function changedJobs(
  { client, rolloutId, signal }: FollowOptions,
  after: string,
): Promise<{ jobs: Job[]; position: string }> {
  const { listJobs } = await import('../remote/client.ts');
  const jobs: Job[] = [];
  for (let position = after; ;) {
    const query = { rollout_id: rolloutId, changed_after: position, limit: PAGE };
    const page = await listJobs({ client, query, signal });
    jobs.push(...page.data);
    position = page.next_changed_after ?? position;
    if (page.data.length < PAGE) return { jobs, position };
  }
}
