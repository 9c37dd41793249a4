import { setTimeout as sleep } from 'node:timers/promises';
import {
  getRollout,
  isEndOfJob,
  isEndOfRollout,
  items,
  listJobs,
  type Job,
  type ReadaptClient,
  type Rollout,
} from '../../openapi/clients/typescript/src/index.ts';
import { createProgressView, inPlannedOrder } from '../watch/progress-view.ts';
import type { RegisteredFleet } from './register-fleet.ts';

const POLL_MS = 400;

export interface FollowedRollout {
  readonly rollout: Rollout;
  readonly jobs: Job[];
}

interface FollowOptions {
  readonly signal: AbortSignal;
  /** Time at which the rollout was requested, in milliseconds of `Date.now()`. */
  readonly started: number;
}

/** Shows the jobs of a rollout until it and all its jobs, including controls, have ended, or until it is paused. */
export async function followDemoRollout(
  fleet: Pick<RegisteredFleet, 'operator'>,
  rolloutId: string,
  { signal, started }: FollowOptions,
): Promise<FollowedRollout> {
  const view = createProgressView(process.stdout);
  try {
    for (;;) {
      const rollout = await getRollout({ client: fleet.operator, path: { id: rolloutId } });
      const jobs = await allJobs(fleet.operator, rolloutId);
      view.update(jobs, Date.now() - started);
      const ended = isEndOfRollout(rollout.state) && jobs.every((job) => isEndOfJob(job.state));
      if (ended || rollout.state === 'paused') return { rollout, jobs };
      await sleep(POLL_MS);
      signal.throwIfAborted();
    }
  } finally {
    view.close();
  }
}

async function allJobs(client: ReadaptClient, rolloutId: string): Promise<Job[]> {
  const jobs: Job[] = [];
  for await (const job of items(listJobs, { client, query: { rollout_id: rolloutId, limit: 100 } })) jobs.push(job);
  return inPlannedOrder(jobs);
}
