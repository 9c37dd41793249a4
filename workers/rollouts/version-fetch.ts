import type { Database } from '../../src/lib/database.ts';
import { BaseElsewhereError } from '../base-fitness.ts';
import { problemOfFetch } from '../bases/fetch-faults.ts';
import { BaseNotFetchedError, type BaseFetch, type LocalBases } from '../bases/local-bases.ts';
import { createAnalysisRepository } from './analysis.repository.ts';
import { RefusalError } from './analysis.ts';

export interface VersionFetch {
  readonly db: Database;
  readonly local: LocalBases;
  readonly signal: AbortSignal;
  readonly onProgress?: (fetches: readonly BaseFetch[]) => Promise<void>;
}

/** A handler may run for an hour. What is not here then is fetched on by the next attempt. */
const PATIENCE_MS = 40 * 60_000;

/**
 * Runs `work` when this worker has the files of all of the versions.
 * @throws RefusalError if a source does not have them any more, or others; BaseElsewhereError if this worker cannot fetch them now
 */
export async function withFetchedVersions<T>(
  { db, local, signal, onProgress }: VersionFetch,
  ids: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  const versions = await createAnalysisRepository(db).baseModelVersions(ids);
  return local.holding(versions, async () => {
    await local
      .fetch(versions, { signal, patienceMs: PATIENCE_MS, ...(onProgress && { onProgress }) })
      .catch((error: unknown) => {
        if (!(error instanceof BaseNotFetchedError)) throw error;
        const problem = { ...problemOfFetch(error), base_model_version_id: error.base.id };
        throw error.fault.hope === 'never' ? new RefusalError(problem) : new BaseElsewhereError(error.base, problem);
      });
    return work();
  });
}

/** Writes how far fetches are to the row of the rollout that waits for them. */
export async function noteFetches(db: Database, rolloutId: string, fetches: readonly BaseFetch[]): Promise<void> {
  const shown = fetches.map(({ base, done, total, file }) => ({
    base_model_version_id: base.id,
    version: base.version,
    file,
    bytes_done: done,
    bytes_total: total,
  }));
  await createAnalysisRepository(db).noteFetches(rolloutId, shown);
}
