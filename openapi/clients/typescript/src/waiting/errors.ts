import { ReadaptError } from '../errors.ts';
import type { Job, Rollout } from '../generated/types.gen.ts';

/**
 * Error of a rollout that has failed or was cancelled, or that is paused if the caller does not want to wait for its
 * resumption.
 */
export class RolloutNotCompletedError extends ReadaptError {
  override readonly name = 'RolloutNotCompletedError';
  readonly rollout: Rollout;

  constructor(rollout: Rollout) {
    super(`rollout ${rollout.id} is ${rollout.state}${reasonIn(rollout.error ?? rollout.paused_reason)}`);
    this.rollout = rollout;
  }
}

/** Error of a job that has ended without a version that is ready. */
export class JobNotReadyError extends ReadaptError {
  override readonly name = 'JobNotReadyError';
  readonly job: Job;

  constructor(job: Job) {
    super(`job ${job.id} is ${job.state}${reasonIn(job.error)}`);
    this.job = job;
  }
}

/** Error of a wait that has timed out. The work goes on in the service. */
export class WaitTimeoutError<Resource = Rollout | Job> extends ReadaptError {
  override readonly name = 'WaitTimeoutError';
  /** Last known state of the resource; null if no answer came at all. */
  readonly last: Resource | null;

  constructor(timeoutMs: number, last: (Resource & { id: string; state: string }) | null) {
    super(`after ${timeoutMs / 1000} seconds ${last === null ? 'no answer has come' : `${last.id} is ${last.state}`}`);
    this.last = last;
  }
}

function reasonIn(reason: object | null | undefined): string {
  if (reason === null || reason === undefined) return '';
  const { code, message } = reason as { code?: string; message?: string };
  return `: ${[code, message].filter((part) => part !== undefined).join(': ')}`;
}
