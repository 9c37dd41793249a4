export { createClient, type ClientSettings, type ReadaptClient } from './create-client.ts';
export { ConnectionError, isProblem, ProblemError, ReadaptError, UnexpectedAnswerError } from './errors.ts';
export { followEvents, type FollowEventsOptions } from './events/follow-events.ts';
export * from './generated/sdk.gen.ts';
export type * from './generated/types.gen.ts';
export { items, pages } from './pages.ts';
export { DEFAULT_RETRIES, type RetryOptions } from './retries.ts';
export { JobNotReadyError, RolloutNotCompletedError, WaitTimeoutError } from './waiting/errors.ts';
export {
  isEndOfJob,
  isEndOfRollout,
  waitForJob,
  waitForRollout,
  type WaitForJobOptions,
  type WaitForRolloutOptions,
} from './waiting/wait.ts';
