import type { Job, Rollout } from '../generated/types.gen.ts';
import { JobNotReadyError, RolloutNotCompletedError } from './errors.ts';
import { waitUntil, type WaitOptions } from './wait-until.ts';

export interface WaitForRolloutOptions extends WaitOptions<Rollout> {
  readonly id: string;
  /** Whether a pause of the rollout ends the wait, because somebody has to resume it. Default: no. */
  readonly untilPaused?: boolean;
}

export interface WaitForJobOptions extends WaitOptions<Job> {
  readonly id: string;
}

/**
 * Waits until a rollout is completed. All its adaptations have ended then; its `summary` has the number that are ready.
 * @throws RolloutNotCompletedError with the rollout if it fails or is cancelled, or is paused and `untilPaused` is set;
 * WaitTimeoutError; ProblemError; the reason of the signal
 */
export async function waitForRollout({ id, untilPaused, ...options }: WaitForRolloutOptions): Promise<Rollout> {
  const rollout = await waitUntil(
    {
      url: '/v1/rollouts/{id}',
      id,
      events: { rolloutId: id },
      isOver: ({ state }: Rollout) => isEndOfRollout(state) || (untilPaused === true && state === 'paused'),
    },
    options,
  );
  if (rollout.state !== 'completed') throw new RolloutNotCompletedError(rollout);
  return rollout;
}

/**
 * Waits until a job has published a version that is ready.
 *
 * @throws JobNotReadyError with the job if it ends otherwise; WaitTimeoutError; ProblemError; the reason of the signal
 */
export async function waitForJob({ id, ...options }: WaitForJobOptions): Promise<Job> {
  const job = await waitUntil(
    { url: '/v1/jobs/{id}', id, events: { jobId: id }, isOver: ({ state }: Job) => isEndOfJob(state) },
    options,
  );
  if (job.state !== 'ready') throw new JobNotReadyError(job);
  return job;
}

/** Whether a rollout in this state has ended. */
export function isEndOfRollout(state: Rollout['state']): boolean {
  return state === 'completed' || state === 'failed' || state === 'cancelled';
}

/** Whether a job in this state has ended. A job that is `not_ready` can be retried. */
export function isEndOfJob(state: Job['state']): boolean {
  return state === 'ready' || state === 'not_ready' || state === 'failed' || state === 'cancelled';
}
