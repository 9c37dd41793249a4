/** Error as stored in rows of jobs, rollouts and base model versions. */
export interface StoredError {
  /** Stable error code, by which programs tell errors apart. */
  readonly code: string;
  /** Error message for everybody who may see the row. */
  readonly message: string;
  /** The error's own text, for the operator alone, because it may contain paths and other details of the machine. */
  readonly detail?: string | null;
}

/** Code of an error that the service did not expect. */
export const INTERNAL_ERROR = 'internal_error';

/** Message that tenants see instead of one that is meant for the operator alone. */
export const INTERNAL_MESSAGE = 'the service has failed at this; its operator can see the cause';

/** Pattern of an absolute path, a line break, or a Windows path with a drive. */
const INTERNAL = /(?:^|[\s"'`(=:,[{<])(?:file:\/\/)?\/[\w.@+-]+|\n|\b[A-Za-z]:\\/;

/** Whether a text contains a path of the service's machine or the lines of a stack trace. */
export function namesInternals(text: string): boolean {
  return INTERNAL.test(text);
}

/**
 * Returns the error of a row as the caller may see it. Tenants see no `detail`, and a message with internal details is
 * replaced.
 * @param scope null for the operator; any text, such as the identifier of the tenant, for everybody else
 */
export function showError<Shown extends StoredError>(stored: unknown, scope: string | null): Shown | null {
  const error = stored as Shown | null;
  if (error === null || scope === null) return error;
  const { detail: _, message, ...shown } = error;
  return { ...shown, message: namesInternals(message) ? INTERNAL_MESSAGE : message } as Shown;
}
