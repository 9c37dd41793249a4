import { isDeepStrictEqual } from 'node:util';
import type { GateRule } from '../../../../core/options/gates.ts';
import type { MetricName } from '../../../../core/options/metrics.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import { conflict, notFound, unprocessable } from '../../../platform/contract/errors.ts';
import type { RecordChange } from '../../../platform/contract/record-change.ts';
import type { createBaseModelRepository } from '../../base-models/index.ts';
import type { createDatasetRepository } from '../../datasets/index.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import { requestOutcomesOfLatest, type AdapterRow, type createAdapterRepository } from '../adapter.repository.ts';
import type { UpdateAdapter } from '../adapter.schemas.ts';
import { checkGate, checkMetric, checkSlices } from '../gate.ts';

interface UpdateDependencies {
  readonly adapters: ReturnType<typeof createAdapterRepository>;
  readonly datasets: ReturnType<typeof createDatasetRepository>;
  readonly models: ReturnType<typeof createBaseModelRepository>;
}

interface RequestedUpdate {
  readonly id: string;
  /** The tenant to which the caller is confined; null for the operator. */
  readonly scope: string | null;
  readonly given: UpdateAdapter;
  readonly recordChange: RecordChange;
}

/**
 * Changes the settings of an adapter that a request names. Records one event and one audit entry with the settings that
 * differ, or nothing if none differs.
 *
 * @returns the owner of the adapter
 * @throws AppError 404, 409 `adapter_in_use` for another dataset or gate while a job has not ended, 422 `invalid_gate`,
 * `metric_needs_answers`, `unknown_slice` or `base_model_version_not_found`
 */
export async function updateAdapter(
  tx: Transaction,
  deps: UpdateDependencies,
  { id, scope, given, recordChange }: RequestedUpdate,
): Promise<string> {
  const { adapters, models } = deps;
  const job = await adapters.lockForUpdate(id, tx);
  const adapter = await adapters.find(id, scope, tx);
  if (adapter === null) throw notFound('adapter', id);
  const { tenantId } = adapter;
  const { before, after } = changesOf(settingsOf(adapter), given);
  if (Object.keys(after).length === 0) return tenantId;
  const { dataset_id: _datasetId, ...others } = after;
  const changesTask = 'dataset_id' in after || 'gate' in after;
  if (changesTask) await changeTask(tx, deps, adapter, { ...after, jobId: job?.id ?? null });
  await requirePin(models, { ...adapter, pin: others.pinned_base_model_version_id }, tx);
  await adapters.setSettings(id, others, tx);
  // Outcomes depend on both the dataset and the gate.
  if (changesTask) await requestOutcomesOfLatest(tx, id);
  await recordEvent(tx, { tenantId, type: 'adapter.updated', subjectId: id, data: after });
  await recordChange(tx, { tenantId, subjectId: id, before, after });
  return tenantId;
}

/** The settings that can be changed, by their names in the API. */
type Settings = Required<UpdateAdapter>;

function settingsOf(row: AdapterRow): Settings {
  return {
    dataset_id: row.datasetId,
    gate: row.gate as unknown as GateRule,
    labels: row.labels as Settings['labels'],
    pinned_base_model_version_id: row.pinnedBaseModelVersionId,
    approval: row.approval as Settings['approval'],
  };
}

/** The settings that a request changes, before and after it. */
function changesOf(now: Settings, given: UpdateAdapter): { before: UpdateAdapter; after: UpdateAdapter } {
  const names = (Object.keys(given) as (keyof Settings)[]).filter((name) => !isDeepStrictEqual(given[name], now[name]));
  const pick = (settings: UpdateAdapter) => Object.fromEntries(names.map((name) => [name, settings[name]]));
  return { before: pick(now), after: pick(given) };
}

interface ChangedTask extends Pick<UpdateAdapter, 'dataset_id' | 'gate'> {
  /** Job that still needs the present dataset or gate; null if there is none. */
  readonly jobId: string | null;
}

/** Checks the new dataset or gate, and stores the dataset. */
async function changeTask(
  tx: Transaction,
  { adapters, datasets }: UpdateDependencies,
  adapter: AdapterRow,
  { dataset_id: given, gate = adapter.gate as unknown as GateRule, jobId }: ChangedTask,
): Promise<void> {
  const { id, tenantId } = adapter;
  const datasetId = given === undefined ? adapter.datasetId : given;
  const find = async () => {
    if (datasetId === null) return null;
    const found = await datasets.find(datasetId, tenantId, tx);
    if (found === null) throw notFound('dataset', datasetId);
    return found;
  };
  checkGate(adapter.metric as MetricName, gate);
  const dataset = await find();
  if (dataset !== null) {
    checkMetric(adapter.metric as MetricName, dataset);
    checkSlices(gate, dataset);
  }
  if (jobId !== null) throw adapterInUse(id, jobId);
  if (given !== undefined) await adapters.setDataset(id, given, tx);
  // Looks again: a deletion of the dataset waits for this transaction, or was committed since the first look.
  await find();
}

function adapterInUse(id: string, jobId: string) {
  const message =
    `adapter ${id} is being carried over with its dataset and its gate by job ${jobId}: cancel the job, or wait for ` +
    'its end';
  return conflict('adapter_in_use', message, { job_id: jobId });
}

/**
 * Checks a pin; null and undefined mean no pin.
 *
 * @throws AppError 422 `base_model_version_not_found` if the base model has no such version
 */
export async function requirePin(
  models: UpdateDependencies['models'],
  { baseModelId, pin }: { baseModelId: string; pin: string | null | undefined },
  tx?: Transaction,
): Promise<void> {
  if (pin === null || pin === undefined) return;
  const found = await models.findVersion(pin, tx);
  if (found?.baseModelId === baseModelId) return;
  const message = `base model ${baseModelId} has no version ${pin}: pin the adapter to a version of its own base model`;
  throw unprocessable('base_model_version_not_found', message);
}
