import { SETTINGS } from '../../../platform/config/settings.ts';
import {
  isDatabaseFull,
  isDatabaseReadOnly,
  isDatabaseUnavailable,
  isOutOfConnections,
} from '../../../platform/database/database.ts';
import { AppError } from '../../../platform/contract/errors.ts';

/**
 * Translates an error of the database into an error for clients if the database is unreachable, full, read-only or out
 * of connections; null for any other error.
 */
export function databaseProblem(cause: unknown): AppError | null {
  if (isOutOfConnections(cause)) {
    return new AppError({
      code: 'unavailable',
      status: 503,
      message:
        `no connection to the database was free in time: try again; where this lasts, the operator raises ` +
        `${SETTINGS.apiConnections.variable}, ` +
        "or PostgreSQL's max_connections where that is used up",
      details: { retry_after_ms: 1000 },
      cause,
    });
  }
  if (isDatabaseUnavailable(cause)) {
    return new AppError({
      code: 'unavailable',
      status: 503,
      message: 'the database cannot be reached: try again',
      details: { retry_after_ms: 1000 },
      cause,
    });
  }
  if (isDatabaseFull(cause)) {
    return new AppError({
      code: 'database_full',
      status: 507,
      message: 'the database has no space left on its disk: free some and send the request again',
      cause,
    });
  }
  return isDatabaseReadOnly(cause) ? databaseReadOnly(cause) : null;
}

export function databaseReadOnly(cause?: unknown): AppError {
  return new AppError({
    code: 'database_read_only',
    status: 507,
    message: 'the database is read-only, expected a writable one',
    cause,
  });
}
