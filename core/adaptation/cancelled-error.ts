/** The reason with which a signal aborts when a job is to stop. */
export class CancelledError extends Error {
  /** Whether somebody will resume the job from a checkpoint. */
  readonly keep: boolean;

  constructor({ keep }: { readonly keep: boolean }) {
    super('the job was cancelled');
    this.name = 'CancelledError';
    this.keep = keep;
  }
}
