import type { SourceErrorCode } from '../../src/platform/base-sources/index.ts';
import type { StoredError } from '../../src/platform/contract/shown-error.ts';
import { TryLaterError } from '../../src/platform/queue/index.ts';
import { BaseElsewhereError, type BaseUser } from './base-availability.ts';
import { BaseNotFetchedError, type FetchWait, type LocalBases, type SourcedBase } from './local-bases.ts';

/**
 * Reasons for failed fetches that tenants may read, by the error's code. The error's own message names the source and
 * settings of the worker, and is only for the operator.
 */
const REASONS: Readonly<Record<SourceErrorCode, string>> = {
  source_unauthorized: 'the worker may not read their source',
  source_unreachable: 'their source does not answer',
  source_not_found: 'their source does not have them any more',
  source_changed: 'they have changed at their source since they were registered',
  source_corrupt: 'their source sends other bytes than it says',
  source_refused: 'their source has no model that can be used, or refuses to send it',
  base_cache_too_small: 'they do not fit into the cache of the worker',
};

/** Code in the row of a job that waits because its base is being fetched. */
const FETCHING = 'base_fetching';

/**
 * Time that a queue entry waits for a fetch before it goes back to the queue, where a worker that has the base may take
 * it, in milliseconds.
 */
const PATIENCE_MS = 2000;

/** Describes a base that could not be fetched: a message that tenants may read, and details for the operator. */
export function problemOfFetch({ base, fault }: BaseNotFetchedError): StoredError {
  const message = `the files of base model version ${base.version} cannot be fetched: ${REASONS[fault.code]}`;
  return { code: fault.code, message, detail: fault.message };
}

/**
 * Fetches bases to this worker. If that fails, leaves the work to other workers.
 * @throws BaseElsewhereError in place of {@link BaseNotFetchedError}
 */
export async function fetchOrLeave(local: LocalBases, bases: readonly SourcedBase[], wait: FetchWait): Promise<void> {
  try {
    await local.fetch(bases, wait);
  } catch (error) {
    if (!(error instanceof BaseNotFetchedError)) throw error;
    throw new BaseElsewhereError(error.base, problemOfFetch(error));
  }
}

/**
 * Fetches the bases that a queue entry needs, and then runs its work. If the fetch takes long, the entry goes back to
 * the queue for a while, and the reason is stored.
 */
export function withFetchedBases(
  local: LocalBases,
  bases: readonly SourcedBase[],
  { signal, note }: Pick<BaseUser, 'signal' | 'note'>,
  work: () => Promise<void>,
): Promise<void> {
  return local.holding(bases, async () => {
    await fetchOrLeave(local, bases, { signal, patienceMs: PATIENCE_MS }).catch(async (error: unknown) => {
      if (error instanceof TryLaterError) await note({ code: FETCHING, message: error.message });
      throw error;
    });
    await work();
  });
}
