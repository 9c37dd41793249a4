import { explainMissing, type TarArchive } from '../../platform/artifacts/index.ts';
import { withTransaction } from '../../platform/database/database.ts';
import { toPage, type Page, type PageQuery } from '../../platform/contract/pagination.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { sortingOf } from '../../platform/contract/sorting.ts';
import { unconfined } from '../../platform/database/row-security/confined-database.repository.ts';
import type { ImportDependencies } from './adapter-import.ts';
import { ADAPTER_SORTS, pageOfAdapters } from './adapter-page.repository.ts';
import { toAdapter, toAdapterVersion, toNegativeFlip } from './adapter.mapper.ts';
import { negativeFlipsOf, pageOfAdapterVersions, pageOfNegativeFlips } from './adapter.repository.ts';
import type {
  AdapterResource,
  AdapterVersion,
  CreateAdapter,
  CreatedAdapter,
  ListAdaptersQuery,
  NegativeFlipResource,
  UpdateAdapter,
  UpdatedAdapter,
} from './adapter.schemas.ts';
import { createAdapterResource, type Creator } from './create-adapter.ts';
import { importVersion, type VersionImport } from './import-version.ts';
import { requireAdapter, requireAdapterVersion } from './references.ts';
import { updateAdapter } from './settings/update-adapter.ts';

/** Tar archive of the files of an adapter version, ready to be downloaded. */
export interface VersionDownload {
  readonly digest: string;
  readonly filename: string;
  open(): Promise<TarArchive>;
}

/**
 * Service that keeps adapters and their versions. In all methods `scope` is the tenant to which the caller is confined,
 * or null for the operator.
 */
export interface AdapterService {
  /** @throws every AppError that {@link createAdapterResource} throws */
  create(body: CreateAdapter, creator: Creator): Promise<CreatedAdapter>;
  list(query: ListAdaptersQuery, scope: string | null): Promise<Page<AdapterResource>>;
  /** @throws AppError 404 if the caller can see no such adapter */
  get(id: string, scope: string | null): Promise<AdapterResource>;
  /** @throws every AppError that {@link updateAdapter} throws */
  update(id: string, given: UpdateAdapter, scope: string | null, recordChange: RecordChange): Promise<UpdatedAdapter>;
  /** @throws every AppError that {@link importVersion} throws */
  importVersion(request: VersionImport): Promise<AdapterVersion>;
  /** Lists the versions of an adapter. @throws AppError 404 if the caller can see no such adapter */
  listVersions(id: string, query: PageQuery, scope: string | null): Promise<Page<AdapterVersion>>;
  /** @throws AppError 404 if the caller can see no such version */
  getVersion(id: string, versionId: string, scope: string | null): Promise<AdapterVersion>;
  /**
   * Lists negative flips of a version: gate rows that the old version has right and this one wrong.
   * @throws AppError 404 if the caller can see no such version
   */
  listFlips(id: string, versionId: string, query: PageQuery, scope: string | null): Promise<Page<NegativeFlipResource>>;
  /**
   * Reads all negative flips of a version, without a check that the caller may see the version. The list is empty if
   * the version is gone.
   */
  flipsOf(versionId: string): Promise<NegativeFlipResource[]>;
  /**
   * Prepares the download of a version's archive.
   * @throws AppError 404 if the caller can see no such version; `open` of the download throws 503 `storage_away`
   */
  download(id: string, versionId: string, scope: string | null): Promise<VersionDownload>;
}

export function createAdapterService(deps: ImportDependencies): AdapterService {
  const { db, artifacts } = deps;
  return {
    create: (body, creator) => createAdapterResource(deps, body, creator),

    async list(query, scope) {
      return toPage(await pageOfAdapters(db, query, scope), query, toAdapter, sortingOf(query, ADAPTER_SORTS).cursorOf);
    },

    get: async (id, scope) => toAdapter(await requireAdapter(db, id, scope)),

    update: (id, given, scope, recordChange) =>
      withTransaction(db, (tx) => updateAdapter(tx, { id, scope, given, recordChange })),

    importVersion: (request) => importVersion(deps, request),

    async listVersions(id, query, scope) {
      await requireAdapter(db, id, scope);
      return toPage(await pageOfAdapterVersions(db, id, query), query, toAdapterVersion);
    },

    getVersion: async (adapterId, id, scope) =>
      toAdapterVersion(await requireAdapterVersion(db, { adapterId, id }, scope)),

    async listFlips(adapterId, id, query, scope) {
      await requireAdapterVersion(db, { adapterId, id }, scope);
      return toPage(await pageOfNegativeFlips(db, id, query), query, toNegativeFlip);
    },

    flipsOf: async (id) => (await negativeFlipsOf(db, id)).map(toNegativeFlip),

    async download(adapterId, id, scope) {
      const { name } = await requireAdapter(db, adapterId, scope);
      const { number, artifactDigest: digest } = await requireAdapterVersion(db, { adapterId, id }, scope);
      const prefix = `${name}-${number}`;
      // Unconfined, because artifacts of all tenants show whether the store is away.
      const asked = { db: unconfined(db), store: artifacts, digest };
      const open = () => explainMissing(asked, () => artifacts.tarArchive(digest, { prefix }));
      return { digest, filename: `${prefix}.tar`, open };
    },
  };
}
