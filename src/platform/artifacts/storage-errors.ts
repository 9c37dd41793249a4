import { AppError } from '../contract/errors.ts';

/** Error codes of a full store. EFBIG comes from a limit on file sizes (`ulimit -f`). */
const FULL = new Set(['EDQUOT', 'EFBIG', 'ENOSPC']);

/** Turns the operating system's errors for a full or read-only disk into AppErrors (507); returns others unchanged. */
export function toStorageError(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (FULL.has(code)) return storageFull(error);
  if (code === 'EROFS') {
    return new AppError({
      code: 'storage_read_only',
      status: 507,
      message: 'the artifact store is on a read-only file system, expected a writable one',
      cause: error,
    });
  }
  return error;
}

export const MISSING_ARTIFACT = 'artifact_missing';

export function storageFull(cause: unknown): AppError {
  return new AppError({
    code: 'storage_full',
    status: 507,
    message: 'the artifact store has no space left: free some and send the request again',
    cause,
  });
}

/**
 * Makes the error for a store that cannot be reached or belongs to another database. The default message is for a store
 * that has none of the artifacts that the database names.
 */
export function storageAway(
  cause: Error | null,
  message = 'the artifact store has nothing of what it should have: its file system is away, or it is another folder',
): AppError {
  return new AppError({
    code: 'storage_away',
    status: 503,
    message,
    details: { retry_after_ms: 10_000 },
    ...(cause !== null && { cause }),
  });
}

export function missingArtifact(digest: string): AppError {
  return new AppError({
    code: MISSING_ARTIFACT,
    status: 500,
    message: `artifact ${digest} is not in the store`,
  });
}

export function corruptArtifact(digest: string, found: string): AppError {
  return new AppError({
    code: 'artifact_corrupt',
    status: 500,
    message: `artifact ${digest} has changed on disk: its content has the digest ${found}`,
  });
}

export function storedAs(digest: string, found: string, expected: string): Error {
  return new Error(`artifact ${digest} is stored as a ${found}, expected a ${expected}`);
}
