/** Error as stored in the rows of jobs, rollouts and base model versions. */
export interface StoredError {
  /** Stable, for programs. */
  readonly code: string;
  /** For everybody who may see the row. */
  readonly message: string;
  /** For the operator alone: the error's own words, which may name paths and other things of the machine. */
  readonly detail?: string | null;
}

/** The code of an error that is not foreseen. */
export const INTERNAL_ERROR = 'internal_error';

/** Message shown to tenants in place of one that is not written for them. */
export const INTERNAL_MESSAGE = 'the service has failed at this; its operator can see the cause';

/** A path that begins at a root, a line break, or the drive of a Windows path. */
const INTERNAL = /(?:^|[\s"'`(=:,[{<])(?:file:\/\/)?\/[\w.@+-]+|\n|\b[A-Za-z]:\\/;

/** Whether a text names a path of the machine, or has the lines of a stack. */
export function namesInternals(text: string): boolean {
  return INTERNAL.test(text);
}

/**
 * The error of a row as the caller may see it. Tenants see no `detail`, and a message that names something internal is
 * replaced.
 * @param scope who sees it: null for the operator, and a text, such as the identifier of the tenant, for everybody else
 */
export function showError<Shown extends StoredError>(stored: unknown, scope: string | null): Shown | null {
  const error = stored as Shown | null;
  if (error === null || scope === null) return error;
  const { detail: _, message, ...shown } = error;
  return { ...shown, message: namesInternals(message) ? INTERNAL_MESSAGE : message } as Shown;
}
