import { ReadaptError } from '../errors.ts';
import type { Job, Rollout } from '../generated/types.gen.ts';

/** A rollout has ended by a failure or a cancellation, or it is paused and nobody wanted to wait for that. */
export class RolloutNotCompletedError extends ReadaptError {
  override readonly name = 'RolloutNotCompletedError';
  readonly rollout: Rollout;

  constructor(rollout: Rollout) {
    super(`rollout ${rollout.id} is ${rollout.state}${reasonIn(rollout.error ?? rollout.paused_reason)}`);
    this.rollout = rollout;
  }
}

/** A job has ended without a version that is ready. */
export class JobNotReadyError extends ReadaptError {
  override readonly name = 'JobNotReadyError';
  readonly job: Job;

  constructor(job: Job) {
    super(`job ${job.id} is ${job.state}${reasonIn(job.error)}`);
    this.job = job;
  }
}

/** The time for waiting is over. The work goes on in the service. */
export class WaitTimeoutError<Resource = Rollout | Job> extends ReadaptError {
  override readonly name = 'WaitTimeoutError';
  /** How things stood last; null if no answer came at all. */
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
