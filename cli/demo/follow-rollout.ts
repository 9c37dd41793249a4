import { setTimeout as sleep } from 'node:timers/promises';
import { TERMINAL_ROLLOUT_STATES } from '../../src/modules/rollouts/index.ts';
import type { Job, Rollout } from './api-client.ts';
import { createProgressView, isTerminal } from './progress-view.ts';
import type { RegisteredFleet } from './register-fleet.ts';

const POLL_MS = 400;

export interface FollowedRollout {
  readonly rollout: Rollout;
  readonly jobs: Job[];
}

interface FollowOptions {
  readonly signal: AbortSignal;
  /** When the rollout was asked for, by `Date.now()`. */
  readonly started: number;
}

/** Shows the jobs of a rollout until it and all its jobs, including controls, have ended, or until it is paused. */
export async function followRollout(
  fleet: Pick<RegisteredFleet, 'operator'>,
  rolloutId: string,
  { signal, started }: FollowOptions,
): Promise<FollowedRollout> {
  const view = createProgressView(process.stdout);
  try {
    for (;;) {
      const rollout = await fleet.operator.get<Rollout>(`/v1/rollouts/${rolloutId}`);
      const jobs = await allJobs(fleet, rolloutId);
      view.update(jobs, Date.now() - started);
      const ended =
        TERMINAL_ROLLOUT_STATES.some((state) => state === rollout.state) && jobs.every((job) => isTerminal(job.state));
      if (ended || rollout.state === 'paused') return { rollout, jobs };
      await sleep(POLL_MS);
      signal.throwIfAborted();
    }
  } finally {
    view.close();
  }
}

/** The jobs of a rollout: adaptations in the order in which they were planned, then controls. */
async function allJobs(fleet: Pick<RegisteredFleet, 'operator'>, rolloutId: string): Promise<Job[]> {
  const page = await fleet.operator.get<{ data: Job[] }>(`/v1/jobs?rollout_id=${rolloutId}&limit=100`);
  return page.data.sort((a, b) => (a.kind === b.kind ? (a.id < b.id ? -1 : 1) : a.kind === 'control' ? 1 : -1));
}
