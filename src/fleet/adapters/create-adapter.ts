import { withTransaction, type Transaction } from '../../platform/database/database.ts';
import { notFound } from '../../platform/contract/errors.ts';
import { newId } from '../../platform/contract/ids.ts';
import type { RecordAnswer } from '../../platform/contract/record-answer.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { createTenantService, resolveOwner } from '../../tenants/tenants/index.ts';
import { findBaseModel } from '../base-models/index.ts';
import { importAdapter, type ImportDependencies } from './adapter-import.ts';
import { toAdapter } from './adapter.mapper.ts';
import { adapterExists, insertAdapter, isAdapterNameTaken } from './adapter.repository.ts';
import type { CreateAdapter, CreatedAdapter } from './adapter.schemas.ts';
import { checkGate, checkMetric, checkSlices, gateAdviceOf } from './gate.ts';
import { insertImportedVersion } from './import-version.ts';
import { requireAdapter, requireDataset, requirePin, requireVersionOfModel } from './references.ts';
import { toGivenAdapter } from './sources/given-adapter.ts';

/** Caller that creates an adapter. `record` stores the answer in the audit log and for repetitions of the request. */
export interface Creator {
  /** The tenant to which the caller is confined; null for the operator. */
  readonly scope: string | null;
  /** Signal that aborts when the client disconnects. Fetching files from a source then stops. */
  readonly gone: AbortSignal;
  readonly record: RecordAnswer<CreatedAdapter>;
}

/**
 * Creates an adapter and, if the request has a `source`, imports the adapter's first version in the same transaction.
 *
 * @throws AppError 403 `quota_exceeded`, 404, 409 `adapter_exists`, 422; neither rows nor files remain after an error
 */
export async function createAdapterResource(
  deps: ImportDependencies,
  body: CreateAdapter,
  { scope, gone, record }: Creator,
): Promise<CreatedAdapter> {
  const { db, rooms } = deps;
  const owner = resolveOwner(scope, body.tenant_id);
  const { baseModel, baseModelVersion } = await resolveReferences(deps, body, owner);
  const advice = { gate_advice: await gateAdviceOf(db, { ...body, datasetId: body.dataset_id }, owner) };
  const answer = async (tx: Transaction, id: string): Promise<CreatedAdapter> => {
    const adapter = { ...toAdapter(await requireAdapter(tx, id, owner)), ...advice };
    await record(tx, adapter);
    return adapter;
  };
  if (body.source === undefined || baseModelVersion === null) {
    return withTransaction(db, async (tx) => {
      const id = await insertWithEvent(tx, body, { owner, baseModelId: baseModel.id });
      await rooms.requireWithin(tx, owner, { adapters: 1 });
      return answer(tx, id);
    });
  }
  const given = toGivenAdapter(body.source, gone);
  const target = { owner, scope, model: baseModel, base: baseModelVersion };
  return importAdapter(deps, given, target, async (tx, imported, room) => {
    const id = await insertWithEvent(tx, body, { owner, baseModelId: baseModel.id });
    await insertImportedVersion(tx, { id, tenantId: owner }, baseModelVersion.id, imported);
    await room.settle(tx, { adapters: 1, stored_bytes: imported.artifact.bytes });
    return answer(tx, id);
  });
}

/**
 * Finds the base model, its version and the dataset that a request for a new adapter names. Refuses everything that can
 * be refused before files are read.
 */
async function resolveReferences({ db, rooms }: ImportDependencies, body: CreateAdapter, owner: string) {
  checkGate(body.metric, body.gate);
  await createTenantService({ db }).get(owner, null);
  const baseModel = await findBaseModel(db, body.base_model);
  if (baseModel === null) throw notFound('base model', body.base_model);
  await requirePin(db, { baseModelId: baseModel.id, pin: body.pinned_base_model_version_id });
  const dataset = await requireDataset(db, body.dataset_id, owner);
  if (dataset !== null) {
    checkMetric(body.metric, dataset);
    checkSlices(body.gate, dataset);
  }
  if (await isAdapterNameTaken(db, owner, body.name)) throw adapterExists(body.name);
  await rooms.requireAnyRoom(owner, ['adapters']);
  const reference = body.source?.base_model_version;
  const baseModelVersion = reference === undefined ? null : await requireVersionOfModel(db, baseModel, reference);
  return { baseModel, baseModelVersion };
}

/** Inserts an adapter and the event of its creation. @returns the identifier of the adapter */
async function insertWithEvent(
  tx: Transaction,
  body: CreateAdapter,
  { owner, baseModelId }: { owner: string; baseModelId: string },
): Promise<string> {
  const id = newId('adapter');
  const { name, metric, gate, dataset_id: datasetId, append_eos: appendEos, max_length: maxLength } = body;
  const { labels = {}, pinned_base_model_version_id: pin = null, approval = 'none' } = body;
  const settings = { datasetId, labels, pinnedBaseModelVersionId: pin, approval };
  await insertAdapter(tx, { id, tenantId: owner, baseModelId, name, metric, gate, appendEos, maxLength, ...settings });
  // The dataset may be gone by now. A deletion either waits for this transaction or has already been committed.
  await requireDataset(tx, datasetId, owner);
  const data = {
    name,
    base_model_id: baseModelId,
    dataset_id: datasetId,
    labels,
    pinned_base_model_version_id: pin,
    approval,
  };
  await recordEvent(tx, { tenantId: owner, type: 'adapter.created', subjectId: id, data });
  return id;
}
