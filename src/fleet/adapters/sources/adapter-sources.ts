import {
  bytesOf,
  createSources,
  download,
  SourceError,
  type PinnedFiles,
  type PinnedSource,
  type ExternalSource,
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
import { ADAPTER_LISTING } from './adapter-listing.ts';
import { isAllowedPlace, isOfArtifacts, type TenantIdentity } from './allowed-places.ts';
import { createFetchSlots } from './fetch-slots.ts';
import { clientGone, notAllowed, problemOfSource, tooSlow } from './source-problems.ts';

/** A client waits for the answer, so a source that fails is asked again soon or not at all. Milliseconds. */
const WAITS = {
  firstDelayMs: 100,
  // A fetch that waits keeps its slot from others.
  patienceMs: 2000,
};

/** A source that a request names. */
export interface RemoteAdapter {
  readonly source: ExternalSource;
  /** The token that came with it. */
  readonly token: string | null;
  /** Aborts when the client has gone. */
  readonly gone: AbortSignal;
}

interface Importer {
  /** Tenant that gets the adapter. */
  readonly tenant: TenantIdentity;
  readonly isOperator: boolean;
}

/** The files of an adapter at their source, in the state that was found. */
export interface FoundAdapter {
  readonly source: PinnedSource;
  /** Size of all files. */
  readonly bytes: number;
  /** Fetches the files into an empty folder, and checks their hashes. @throws AppError */
  fetchInto(folder: string): Promise<void>;
}

export type AdapterSources = ReturnType<typeof createAdapterSources>;

/**
 * Finds and fetches adapters in hubs and buckets. Tenants name them, so what a tenant may read is decided here: places
 * that READAPT_ADAPTER_SOURCES allows, and of the hub with no token of the operator but READAPT_ADAPTER_HUB_TOKEN.
 */
export function createAdapterSources({ config, logger }: { config: Config; logger: Logger }) {
  const { adapterSources: places, adapterFetchTimeoutMs: timeoutMs, uploadLimitBytes } = config;
  const inSlot = createFetchSlots();
  const ofOperator = createSources(config, ADAPTER_LISTING);
  const ofTenants = createSources({ ...config, hubToken: config.adapterHubToken }, ADAPTER_LISTING);

  function requireAllowed(source: ExternalSource, { tenant, isOperator }: Importer): void {
    if (isOperator) return;
    if (isAllowedPlace(source, places, tenant) && !isOfArtifacts(source, config.artifacts)) return;
    throw notAllowed({ source }, places);
  }

  /** Hubs answer for a repository that was renamed with the one that it has become, which has to be allowed as well. */
  const checkRepoOf =
    (source: ExternalSource, { tenant, isOperator }: Importer) =>
    (repo: string) => {
      if (isOperator || source.kind !== 'hub' || repo.toLowerCase() === source.repo.toLowerCase()) return;
      if (!isAllowedPlace({ ...source, repo }, places, tenant)) throw notAllowed({ source, repo }, places);
    };

  return {
    /**
     * Finds an adapter, and calls `work`, which may fetch it.
     *
     * @throws AppError 413, 422 such as `source_not_allowed` or `invalid_adapter`, 429 `too_many_fetches`, 503
     *   `source_unreachable`, and what `work` throws
     */
    async during<T>(
      { source, token, gone }: RemoteAdapter,
      importer: Importer,
      work: (found: FoundAdapter) => Promise<T>,
    ): Promise<T> {
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

/** The files that are imported, by the rules of folders and uploads. @throws AppError 413, 422 `invalid_adapter` */
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
