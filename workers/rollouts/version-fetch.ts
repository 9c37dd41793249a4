import type { Database } from '../../src/platform/database/database.ts';
import { BaseElsewhereError } from '../bases/base-availability.ts';
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

/**
 * Longest time to wait for the fetches of base files, in milliseconds. A handler may run for an hour; the next attempt
 * continues unfinished fetches.
 */
const PATIENCE_MS = 40 * 60_000;

/** Old base model versions whose sources no longer have their files, by version id, with the reason. */
type GoneVersions = ReadonlyMap<string, RefusalError['problem']>;

/**
 * Runs `work` once the files of the base model versions are on this worker. If the source of an old version no longer
 * has its files, only that version's adapters are refused.
 * @param newId the version that adapters are carried over to
 * @throws RefusalError if the source of the new version no longer has its files, or has other files; BaseElsewhereError
 * if this worker cannot fetch a version now
 */
export async function withFetchedVersions<T>(
  { db, local, signal, onProgress }: VersionFetch,
  { newId, oldIds }: { readonly newId: string; readonly oldIds: readonly string[] },
  work: (gone: GoneVersions) => Promise<T>,
): Promise<T> {
  const versions = await createAnalysisRepository(db).baseModelVersions([newId, ...oldIds]);
  const gone = new Map<string, RefusalError['problem']>();
  const seen = new Map<string, BaseFetch>();
  const deadline = performance.now() + PATIENCE_MS;
  const report = async (fetches: readonly BaseFetch[]): Promise<void> => {
    for (const fetch of fetches) seen.set(fetch.base.id, fetch);
    await onProgress?.([...seen.values()]);
  };
  return local.holding(versions, async () => {
    for (const version of versions) {
      const wait = { signal, patienceMs: deadline - performance.now(), onProgress: report };
      const problem = await local.fetch([version], wait).then(() => null, refusalOf);
      if (problem !== null && version.id === newId) throw new RefusalError(problem);
      if (problem !== null) gone.set(version.id, problem);
    }
    return work(gone);
  });
}

/**
 * Converts the error of a fetch to the reason for refusing a base model version, if its source can never deliver the
 * files again.
 * @throws BaseElsewhereError if another worker, or a later attempt, may have the version; any other error
 */
function refusalOf(error: unknown): RefusalError['problem'] {
  if (!(error instanceof BaseNotFetchedError)) throw error;
  const problem = { ...problemOfFetch(error), base_model_version_id: error.base.id };
  if (error.fault.hope === 'never') return problem;
  throw new BaseElsewhereError(error.base, problem);
}

/** Stores the progress of the fetches of a waiting rollout's bases in the row of the rollout. */
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
