import type { BaseDifference } from '../training/protocol.ts';

/** The training process says that a request failed. `permanent`: trying again cannot help. */
export class TrainingFailedError extends Error {
  readonly code: string;
  readonly permanent: boolean;
  /** Why two base versions do not fit together, where that is the reason. */
  readonly differences: readonly BaseDifference[] | undefined;

  constructor(failure: { code: string; message: string; permanent: boolean; differences?: readonly BaseDifference[] }) {
    super(failure.message);
    this.name = 'TrainingFailedError';
    this.code = failure.code;
    this.permanent = failure.permanent;
    this.differences = failure.differences;
  }
}

/** The training process is gone or does not answer; a new one can take the work up from its checkpoint. */
export class TrainingCrashedError extends Error {
  readonly code = 'training_process_died';

  constructor(message: string) {
    super(message);
    this.name = 'TrainingCrashedError';
  }
}
