import {
  bytesOf,
  createSources,
  download,
  requireUsable,
  SourceError,
  type PinnedFiles,
  type PinnedSource,
  type ExternalSource,
  type ListingRules,
  type SourceFile,
} from '../../../platform/base-sources/index.ts';
import type { Config } from '../../../platform/config/config.ts';
import { SETTINGS } from '../../../platform/config/settings.ts';
import type { Logger } from '../../../lib/logger.ts';
import { startDeadline } from '../../../lib/timeout.ts';
import { uploadTooLarge } from '../../../platform/contract/upload.ts';
import {
  ADAPTER_FILE_LIMITS,
  checkAdapterFileSize,
  isAdapterFile,
  PICKLED_WEIGHTS,
  requireFiles,
} from '../adapter-files.ts';
import { isAllowedPlace, isOfArtifacts, type TenantIdentity } from './allowed-places.ts';
import { createFetchSlots } from './fetch-slots.ts';
import { clientGone, notAllowed, problemOfSource, tooSlow } from './source-problems.ts';

/**
 * Delays between attempts to read from a hub or a bucket, in milliseconds. They are short because a client waits for
 * the answer.
 */
const WAITS = {
  firstDelayMs: 100,
  // A fetch that waits occupies a slot that others need.
  patienceMs: 2000,
};

/**
 * Rules for listing an adapter's files in a hub or a bucket. The list includes weights in a pickle, which are never
 * fetched, so that an import can refuse them by name.
 */
const ADAPTER_LISTING: ListingRules = {
  // Trainings leave checkpoint folders beside an adapter, sometimes hundreds.
  maxEntries: 1000,
  check(source, files) {
    const taken = files.filter(({ name }) => isAdapterFile(name) || name === PICKLED_WEIGHTS);
    requireUsable(source, taken);
    return taken.sort((a, b) => (a.name < b.name ? -1 : 1));
  },
};

/** Adapter that a request wants to import from a hub or a bucket. */
export interface RemoteAdapter {
  readonly source: ExternalSource;
  /** Access token for the hub, as the request gave it; null if the request gave none. */
  readonly token: string | null;
  /** Signal that aborts when the client disconnects. */
  readonly gone: AbortSignal;
}

interface Importer {
  /** Tenant that owns the imported adapter. */
  readonly tenant: TenantIdentity;
  readonly isOperator: boolean;
}

/**
 * Adapter whose files were found in a hub or a bucket. The files are pinned: later changes at the source are not
 * fetched.
 */
export interface FoundAdapter {
  readonly source: PinnedSource;
  /** Sum of the sizes of all files, in bytes. */
  readonly bytes: number;
  /**
   * Fetches the files into an empty folder, and checks their hashes.
   * @throws AppError 422 or 503 if a file cannot be fetched
   */
  fetchInto(folder: string): Promise<void>;
}

/**
 * Finds and fetches adapters in hubs and buckets. Tenants choose the sources of their adapters, so a tenant may read
 * only places that READAPT_ADAPTER_SOURCES allows. For a tenant's requests to the hub, READAPT_ADAPTER_HUB_TOKEN is the
 * only token of the operator that may be used.
 */
export interface AdapterSources {
  /**
   * Finds the files of an adapter in a hub or a bucket, and runs `work`, which can fetch the found files. The import
   * counts against the limit on simultaneous fetches until `work` has ended.
   *
   * @returns the result of `work`
   * @throws AppError 413, 422 such as `source_not_allowed` or `invalid_adapter`, 429 `too_many_fetches`, 503
   *   `source_unreachable`, and every error of `work`
   */
  during<T>(adapter: RemoteAdapter, importer: Importer, work: (found: FoundAdapter) => Promise<T>): Promise<T>;
}

export function createAdapterSources({ config, logger }: { config: Config; logger: Logger }): AdapterSources {
  const { adapterSources: places, adapterFetchTimeoutMs: timeoutMs, uploadLimitBytes } = config;
  const inSlot = createFetchSlots();
  const ofOperator = createSources(config, ADAPTER_LISTING);
  const ofTenants = createSources({ ...config, hubToken: config.adapterHubToken }, ADAPTER_LISTING);

  function requireAllowed(source: ExternalSource, { tenant, isOperator }: Importer): void {
    if (isOperator) return;
    if (isAllowedPlace(source, places, tenant) && !isOfArtifacts(source, config.artifacts)) return;
    throw notAllowed({ source }, places);
  }

  /**
   * Creates the function that checks which repository answers a request to a hub. If the requested repository was
   * renamed, the hub answers with the new name, and READAPT_ADAPTER_SOURCES must allow the new name as well.
   */
  const checkRepoOf =
    (source: ExternalSource, { tenant, isOperator }: Importer) =>
    (repo: string) => {
      if (isOperator || source.kind !== 'hub' || repo.toLowerCase() === source.repo.toLowerCase()) return;
      if (!isAllowedPlace({ ...source, repo }, places, tenant)) throw notAllowed({ source, repo }, places);
    };

  return {
    async during({ source, token, gone }, importer, work) {
      requireAllowed(source, importer);
      const { isOperator, tenant } = importer;
      const sources = isOperator ? ofOperator : ofTenants;
      const checkRepo = checkRepoOf(source, importer);
      return inSlot(tenant.id, async () => {
        const deadline = startDeadline(timeoutMs);
        const signal = AbortSignal.any([deadline.signal, gone]);
        const explained = async <R>(step: Promise<R>): Promise<R> => {
          try {
            return await step;
          } catch (error) {
            if (gone.aborted) throw clientGone({ source });
            if (deadline.signal.aborted) throw tooSlow({ source }, timeoutMs);
            if (!(error instanceof SourceError)) throw error;
            logger.info({ err: error, tenantId: tenant.id }, 'an adapter could not be fetched');
            throw problemOfSource(error, { source, isOperator });
          }
        };
        try {
          const pinned = await explained(sources.pin(source, { token, signal, checkRepo }));
          const files = adapterFilesOf(pinned, uploadLimitBytes);
          const options = { sources, source: pinned.source, token, signal, ...WAITS };
          return await work({
            source: pinned.source,
            bytes: bytesOf(files),
            fetchInto: async (folder) => {
              for (const file of files) {
                await explained(download(folder, file, { ...options, onBytes: () => undefined }));
              }
              deadline.clear();
            },
          });
        } finally {
          deadline.clear();
        }
      });
    },
  };
}

/**
 * Picks the adapter's files from a source's listing, and checks them by the same rules as files in folders and uploads.
 * @throws AppError 413, 422 `invalid_adapter`
 */
function adapterFilesOf({ files }: PinnedFiles, uploadLimitBytes: number): SourceFile[] {
  const found = files.flatMap((file) => (isAdapterFile(file.name) ? [{ ...file, name: file.name }] : []));
  requireFiles(
    new Set(found.map(({ name }) => name)),
    files.some(({ name }) => name === PICKLED_WEIGHTS),
  );
  for (const { name, size } of found) checkAdapterFileSize(name, size, ADAPTER_FILE_LIMITS[name]);
  if (bytesOf(found) <= uploadLimitBytes) return found;
  throw uploadTooLarge({ what: 'adapter', maxBytes: uploadLimitBytes, setting: SETTINGS.uploadLimitBytes.variable });
}
