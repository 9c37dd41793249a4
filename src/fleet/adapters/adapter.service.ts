import {
  explainMissing,
  withRegisteredArtifact,
  type ArtifactStore,
  type TarArchive,
} from '../../platform/artifacts/index.ts';
import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import { notFound, unprocessable } from '../../platform/contract/errors.ts';
import { adviceOn } from '../datasets/index.ts';
import { newId } from '../../platform/contract/ids.ts';
import { resolveOwner } from '../../tenants/tenants/index.ts';
import { toPage, type Page, type PageQuery } from '../../platform/contract/pagination.ts';
import { sortingOf } from '../../platform/contract/sorting.ts';
import type { RecordAnswer } from '../../platform/contract/record-answer.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { createBaseModelRepository } from '../base-models/index.ts';
import { createDatasetRepository } from '../datasets/index.ts';
import { unconfined } from '../../platform/database/row-security/confined-database.repository.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import type { UploadRooms } from '../../tenants/quotas/index.ts';
import { createTenantService } from '../../tenants/tenants/index.ts';
import { importAdapter, type AdapterSource, type ImportedAdapter } from './adapter-import.ts';
import type { AdapterInspector } from './inspection/adapter-inspector.ts';
import { ADAPTER_SORTS } from './adapter-page.repository.ts';
import { toAdapter, toAdapterVersion, toNegativeFlip } from './adapter.mapper.ts';
import { keptFeatures } from './served-features.ts';
import { adapterExists, createAdapterRepository, insertAdapterVersion, type AdapterRow } from './adapter.repository.ts';
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
import { checkGate, checkMetric, checkSlices } from './gate.ts';
import { requirePin, updateAdapter } from './settings/update-adapter.ts';
import type { AdapterSources } from './sources/adapter-sources.ts';
import { toGivenAdapter, type GivenAdapter } from './sources/given-adapter.ts';

export type AdapterService = ReturnType<typeof createAdapterService>;

export interface AdapterServiceDependencies {
  readonly db: Database;
  readonly artifacts: ArtifactStore;
  readonly inspector: AdapterInspector;
  readonly rooms: UploadRooms;
  readonly allowedRoots: readonly string[];
  readonly sources: AdapterSources;
}

/** Caller of an import, with the function that records the answer. */
interface ImportCaller<Answer> {
  /** The tenant to which the caller is confined; null for the operator. */
  readonly scope: string | null;
  /** Aborts when the client disconnects. Fetching from a source then stops. */
  readonly gone: AbortSignal;
  readonly record: RecordAnswer<Answer>;
}

/** Archive of a version's folder, to be downloaded. */
export interface VersionDownload {
  readonly digest: string;
  readonly filename: string;
  open(): Promise<TarArchive>;
}

/**
 * Creates the service. In all methods `scope` is the tenant to which the caller is confined, or null for the operator.
 */
export function createAdapterService(deps: AdapterServiceDependencies) {
  const { db, artifacts } = deps;
  const adapters = createAdapterRepository(db);
  const models = createBaseModelRepository(db);
  const datasets = createDatasetRepository(db);
  const tenants = createTenantService(deps);

  async function findAdapter(id: string, scope: string | null, tx?: Transaction): Promise<AdapterRow> {
    const row = await adapters.find(id, scope, tx);
    if (row === null) throw notFound('adapter', id);
    return row;
  }

  /** Finds a dataset; null if `id` is null. @throws AppError 404 */
  async function requireDataset(id: string | null, owner: string, tx?: Transaction) {
    if (id === null) return null;
    const found = await datasets.find(id, owner, tx);
    if (found === null) throw notFound('dataset', id);
    return found;
  }

  /** Advice on what the dataset's gate rows can certify; null if there is no dataset or nothing to say. */
  async function adviceOf(
    { datasetId, metric, gate }: Pick<AdapterRow, 'datasetId'> & Pick<CreateAdapter, 'metric' | 'gate'>,
    owner: string,
    tx?: Transaction,
  ) {
    const dataset = datasetId === null ? null : await datasets.find(datasetId, owner, tx);
    return adviceOn(dataset, metric, gate);
  }

  /** An adapter's answer after a change, with advice on its gate. */
  async function showUpdated(id: string, owner: string, tx: Transaction): Promise<UpdatedAdapter> {
    const adapter = toAdapter(await findAdapter(id, owner, tx));
    const { dataset_id: datasetId, metric, gate } = adapter;
    return { ...adapter, gate_advice: await adviceOf({ datasetId, metric, gate }, owner, tx) };
  }

  async function findVersion(adapterId: string, id: string, scope: string | null) {
    const row = await adapters.findVersion(adapterId, id, scope);
    if (row === null) throw notFound('adapter version', id);
    return row;
  }

  async function findBaseModelVersion(baseModel: { id: string; name: string }, reference: string) {
    const row = await models.findVersionOf(baseModel.id, reference);
    if (row !== null) return row;
    const message = `base model ${baseModel.name} has no version ${reference}`;
    throw unprocessable('base_model_version_not_found', message);
  }

  /** Inserts an adapter and its event; with `imported`, also its first version. */
  async function insertAdapter(
    owner: string,
    body: CreateAdapter,
    base: { modelId: string; versionId?: string; imported?: ImportedAdapter },
    tx: Transaction,
  ): Promise<AdapterResource> {
    const baseModelId = base.modelId;
    const id = newId('adapter');
    const { name, metric, gate, dataset_id: datasetId, append_eos: appendEos, max_length: maxLength } = body;
    const { labels = {}, pinned_base_model_version_id: pin = null, approval = 'none' } = body;
    const settings = { datasetId, labels, pinnedBaseModelVersionId: pin, approval };
    const row = { id, tenantId: owner, baseModelId, name, metric, gate, appendEos, maxLength, ...settings };
    await adapters.insert(row, tx);
    // The dataset may be gone by now. A deletion either waits for this transaction or has already been committed.
    await requireDataset(datasetId, owner, tx);
    const data = {
      name,
      base_model_id: baseModelId,
      dataset_id: datasetId,
      labels,
      pinned_base_model_version_id: pin,
      approval,
    };
    await recordEvent(tx, { tenantId: owner, type: 'adapter.created', subjectId: id, data });
    if (base.imported !== undefined && base.versionId !== undefined) {
      await insertVersion({ id, tenantId: owner }, base.imported, base.versionId, tx);
    }
    return toAdapter(await findAdapter(id, owner, tx));
  }

  /** Inserts a version and its event. */
  async function insertVersion(
    adapter: { id: string; tenantId: string },
    { artifact, inspected, source }: ImportedAdapter,
    baseModelVersionId: string,
    tx: Transaction,
  ): Promise<AdapterVersion> {
    const { rank, loraAlpha, targets, parameters, features } = inspected;
    const row = await insertAdapterVersion(tx, {
      id: newId('adapterVersion'),
      tenantId: adapter.tenantId,
      adapterId: adapter.id,
      baseModelVersionId,
      origin: 'imported',
      ...(source !== null && { source }),
      artifactDigest: artifact.digest,
      rank,
      loraAlpha,
      servedFeatures: keptFeatures(features),
    });
    // The adapter may have been deleted while its files were read. The insertion has locked its row.
    await findAdapter(adapter.id, adapter.tenantId, tx);
    const data = {
      adapter_id: adapter.id,
      number: row.number,
      digest: artifact.digest,
      rank,
      lora_alpha: loraAlpha,
      targets,
      parameters,
    };
    await recordEvent(tx, { tenantId: adapter.tenantId, type: 'adapter_version.imported', subjectId: row.id, data });
    return toAdapterVersion(row);
  }

  /** Runs `work` with an adapter's files and their declared size in bytes; null if the size is not known in advance. */
  async function withFiles<T>(
    given: GivenAdapter,
    { owner, scope }: { owner: string; scope: string | null },
    work: (source: AdapterSource, declaredBytes: number | null) => Promise<T>,
  ): Promise<T> {
    if ('path' in given) return work(given, null);
    if ('archive' in given) return work(given, given.archive.declaredBytes);
    const importer = { tenant: await tenants.get(owner, null), isOperator: scope === null };
    return deps.sources.during(given.remote, importer, (found) => work({ found }, found.bytes));
  }

  /** Finds what a new adapter refers to, and refuses what can be refused before files are read. */
  async function resolveReferences(body: CreateAdapter, owner: string) {
    checkGate(body.metric, body.gate);
    await tenants.get(owner, null);
    const baseModel = await models.findModel(body.base_model);
    if (baseModel === null) throw notFound('base model', body.base_model);
    await requirePin(models, { baseModelId: baseModel.id, pin: body.pinned_base_model_version_id });
    const dataset = await requireDataset(body.dataset_id, owner);
    if (dataset !== null) {
      checkMetric(body.metric, dataset);
      checkSlices(body.gate, dataset);
    }
    if (await adapters.isNameTaken(owner, body.name)) throw adapterExists(body.name);
    await deps.rooms.requireAnyRoom(owner, ['adapters']);
    const { source } = body;
    return {
      baseModel,
      baseModelVersion: source === undefined ? null : await findBaseModelVersion(baseModel, source.base_model_version),
    };
  }

  return {
    /**
     * Creates an adapter and, with `source`, its first version in one transaction.
     *
     * @throws AppError 403 `quota_exceeded`, 404, 409 `adapter_exists`, 422; neither rows nor files remain then
     */
    async create(body: CreateAdapter, { scope, gone, record }: ImportCaller<CreatedAdapter>): Promise<CreatedAdapter> {
      const owner = resolveOwner(scope, body.tenant_id);
      const { baseModel, baseModelVersion } = await resolveReferences(body, owner);
      const advice = { gate_advice: await adviceOf({ ...body, datasetId: body.dataset_id }, owner) };
      if (body.source === undefined || baseModelVersion === null) {
        return withTransaction(db, async (tx) => {
          const inserted = await insertAdapter(owner, body, { modelId: baseModel.id }, tx);
          const adapter = { ...inserted, ...advice };
          await deps.rooms.requireWithin(tx, owner, { adapters: 1 });
          await record(tx, adapter);
          return adapter;
        });
      }
      return withFiles(toGivenAdapter(body.source, gone), { owner, scope }, (source, declaredBytes) =>
        deps.rooms.during(owner, declaredBytes, async (room) => {
          const imported = await importAdapter(deps, source, { owner, model: baseModel, base: baseModelVersion, room });
          const base = { modelId: baseModel.id, versionId: baseModelVersion.id, imported };
          return withRegisteredArtifact(deps, imported.artifact, async (tx) => {
            const adapter = { ...(await insertAdapter(owner, body, base, tx)), ...advice };
            await room.settle(tx, { adapters: 1, stored_bytes: imported.artifact.bytes });
            await record(tx, adapter);
            return adapter;
          });
        }),
      );
    },

    async list(query: ListAdaptersQuery, scope: string | null): Promise<Page<AdapterResource>> {
      return toPage(await adapters.page(query, scope), query, toAdapter, sortingOf(query, ADAPTER_SORTS).cursorOf);
    },

    /** @throws AppError 404 */
    async get(id: string, scope: string | null): Promise<AdapterResource> {
      return toAdapter(await findAdapter(id, scope));
    },

    /** @throws AppError as {@link updateAdapter} says */
    update: (
      id: string,
      given: UpdateAdapter,
      scope: string | null,
      recordChange: RecordChange,
    ): Promise<UpdatedAdapter> =>
      withTransaction(db, async (tx) => {
        const owner = await updateAdapter(tx, { adapters, datasets, models }, { id, scope, given, recordChange });
        return showUpdated(id, owner, tx);
      }),

    /**
     * Imports the next version of an adapter.
     *
     * @param baseModelVersion identifier or version text of the version on which the adapter was trained
     * @throws AppError 403 `quota_exceeded`, 404, 413, 422 such as `invalid_archive` or `invalid_adapter`; neither rows
     *   nor files remain then
     */
    async importVersion(
      id: string,
      baseModelVersion: string,
      given: GivenAdapter,
      { scope, record }: Omit<ImportCaller<AdapterVersion>, 'gone'>,
    ): Promise<AdapterVersion> {
      const adapter = await findAdapter(id, scope);
      const base = await findBaseModelVersion(adapter.baseModel, baseModelVersion);
      const { tenantId: owner } = adapter;
      return withFiles(given, { owner, scope }, (source, declaredBytes) =>
        deps.rooms.during(owner, declaredBytes, async (room) => {
          const imported = await importAdapter(deps, source, { owner, model: adapter.baseModel, base, room });
          return withRegisteredArtifact(deps, imported.artifact, async (tx) => {
            const version = await insertVersion(adapter, imported, base.id, tx);
            await room.settle(tx, { stored_bytes: imported.artifact.bytes });
            await record(tx, version);
            return version;
          });
        }),
      );
    },

    async listVersions(id: string, query: PageQuery, scope: string | null): Promise<Page<AdapterVersion>> {
      await findAdapter(id, scope);
      return toPage(await adapters.pageVersions(id, query), query, toAdapterVersion);
    },

    /** @throws AppError 404 */
    async getVersion(id: string, versionId: string, scope: string | null): Promise<AdapterVersion> {
      return toAdapterVersion(await findVersion(id, versionId, scope));
    },

    /** @throws AppError 404 */
    async listFlips(
      id: string,
      versionId: string,
      query: PageQuery,
      scope: string | null,
    ): Promise<Page<NegativeFlipResource>> {
      await findVersion(id, versionId, scope);
      return toPage(await adapters.pageFlips(versionId, query), query, toNegativeFlip);
    },

    /** All negative flips of a version that the caller has found; none if the version is gone. */
    flipsOf: async (versionId: string): Promise<NegativeFlipResource[]> =>
      (await adapters.flips(versionId)).map(toNegativeFlip),

    /** @throws AppError 404; `open` of the download throws 503 `storage_away` */
    async download(id: string, versionId: string, scope: string | null): Promise<VersionDownload> {
      const { name } = await findAdapter(id, scope);
      const version = await findVersion(id, versionId, scope);
      const prefix = `${name}-${version.number}`;
      const digest = version.artifactDigest;
      // Unconfined, because artifacts of all tenants show whether the store is away.
      const asked = { db: unconfined(db), store: artifacts, digest };
      const open = () => explainMissing(asked, () => artifacts.tarArchive(digest, { prefix }));
      return { digest, filename: `${prefix}.tar`, open };
    },
  };
}
