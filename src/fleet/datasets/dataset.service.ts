import { withRegisteredArtifact, type ArtifactStore, type StoredArtifact } from '../../platform/artifacts/index.ts';
import { DEFAULT_MARGIN, type GateRule } from '../../../core/options/gates.ts';
import type { Database } from '../../platform/database/database.ts';
import { notFound } from '../../platform/contract/errors.ts';
import { adviceOn } from './gate-advice.ts';
import { newId } from '../../platform/contract/ids.ts';
import { resolveOwner } from '../../tenants/tenants/index.ts';
import { toPage, type Page } from '../../platform/contract/pagination.ts';
import type { Upload } from '../../platform/contract/upload.ts';
import type { RecordAnswer } from '../../platform/contract/record-answer.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import type { UploadRoom, UploadRooms } from '../../tenants/quotas/index.ts';
import { createTenantService } from '../../tenants/tenants/index.ts';
import {
  datasetExists,
  findDataset,
  insertDataset,
  isDatasetNameTaken,
  pageOfDatasets,
  type DatasetRecord,
} from './dataset.repository.ts';
import type { CreatedDataset, CreateDatasetQuery, Dataset, ListDatasetsQuery } from './dataset.schemas.ts';
import { normalizeDataset, RowCounts } from './normalize-dataset.ts';

interface DatasetServiceDependencies {
  readonly db: Database;
  readonly artifacts: ArtifactStore;
  readonly rooms: UploadRooms;
  /** Largest number of rows that a dataset may have. */
  readonly rowLimit: number;
}

/**
 * Gate that the advice in the answer to an upload is about. Gates belong to adapters, and no adapter uses a dataset
 * that was just uploaded.
 */
const DEFAULT_GATE: GateRule = { kind: 'relative', margin: DEFAULT_MARGIN };

/**
 * Service that keeps datasets. In all methods `scope` is the tenant to which the caller is confined, or null for the
 * operator.
 */
export interface DatasetService {
  /**
   * Checks the rows of an uploaded JSONL file while storing them, and registers the dataset. After an error, nothing of
   * the upload remains.
   *
   * @throws AppError 403 `quota_exceeded`, 409 `dataset_exists`, 422 `invalid_dataset`, 413, 507
   */
  create(
    query: CreateDatasetQuery,
    scope: string | null,
    upload: Upload,
    record: RecordAnswer<CreatedDataset>,
  ): Promise<CreatedDataset>;
  list(query: ListDatasetsQuery, scope: string | null): Promise<Page<Dataset>>;
  /** @throws AppError 404 if the caller can see no such dataset */
  get(id: string, scope: string | null): Promise<Dataset>;
}

export function createDatasetService(deps: DatasetServiceDependencies): DatasetService {
  const { db } = deps;
  const tenants = createTenantService(deps);

  function register(
    owned: { owner: string; name: string },
    artifact: StoredArtifact,
    counts: RowCounts,
    { room, record }: { room: UploadRoom; record: RecordAnswer<CreatedDataset> },
  ): Promise<CreatedDataset> {
    const { owner, name } = owned;
    return withRegisteredArtifact(deps, artifact, async (tx) => {
      const { rows, splits, gateSlices, promptsOnly } = counts;
      const row = await insertDataset(tx, {
        id: newId('dataset'),
        tenantId: owner,
        name,
        artifactDigest: artifact.digest,
        rows,
        bytes: artifact.bytes,
        splits: { ...splits },
        ...(gateSlices && { gateSlices }),
        promptsOnly,
      });
      await room.settle(tx, { dataset_rows: rows, stored_bytes: artifact.bytes });
      const data = { name, rows, digest: artifact.digest };
      await recordEvent(tx, { tenantId: owner, type: 'dataset.created', subjectId: row.id, data });
      const metric = promptsOnly ? 'exact_match' : 'accuracy';
      const dataset = { ...toDataset(row), gate_advice: adviceOn(counts, metric, DEFAULT_GATE) };
      await record(tx, dataset);
      return dataset;
    });
  }

  return {
    async create(query, scope, upload, record) {
      const owner = resolveOwner(scope, query.tenant_id);
      // These checks come first, so that a request that must fail is refused before its upload is read.
      await tenants.get(owner, null);
      if (await isDatasetNameTaken(db, owner, query.name)) throw datasetExists(query.name);
      await deps.rooms.requireAnyRoom(owner, ['dataset_rows', 'stored_bytes']);
      return deps.rooms.during(owner, upload.declaredBytes, async (room) => {
        const counts = new RowCounts();
        const rows = normalizeDataset(room.measured(upload.chunks), counts, deps.rowLimit);
        const artifact = await deps.artifacts.putFile(rows, 'dataset');
        return register({ owner, name: query.name }, artifact, counts, { room, record });
      });
    },

    async list(query, scope) {
      return toPage(await pageOfDatasets(db, query, scope), query, toDataset);
    },

    async get(id, scope) {
      const row = await findDataset(db, id, scope);
      if (row === null) throw notFound('dataset', id);
      return toDataset(row);
    },
  };
}

export function toDataset(row: DatasetRecord): Dataset {
  return {
    id: row.id,
    tenant_id: row.tenantId,
    name: row.name,
    rows: row.rows,
    bytes: Number(row.bytes),
    splits: row.splits as Dataset['splits'],
    gate_slices: row.gateSlices as Dataset['gate_slices'],
    prompts_only: row.promptsOnly,
    digest: row.artifactDigest,
    created_at: toTimestamp(row.createdAt),
  };
}
