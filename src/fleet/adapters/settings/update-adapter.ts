import { isDeepStrictEqual } from 'node:util';
import type { GateRule } from '../../../../core/options/gates.ts';
import type { MetricName } from '../../../../core/options/metrics.ts';
import type { Transaction } from '../../../platform/database/database.ts';
import { conflict } from '../../../platform/contract/errors.ts';
import type { RecordChange } from '../../../platform/contract/record-change.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import { toAdapter } from '../adapter.mapper.ts';
import {
  lockAdapterForUpdate,
  requestOutcomesOfLatest,
  setAdapterDataset,
  setAdapterSettings,
  type AdapterRow,
} from '../adapter.repository.ts';
import type { UpdateAdapter, UpdatedAdapter } from '../adapter.schemas.ts';
import { checkGate, checkMetric, checkSlices, gateAdviceOf } from '../gate.ts';
import { requireAdapter, requireDataset, requirePin } from '../references.ts';

interface RequestedUpdate {
  readonly id: string;
  /** The tenant to which the caller is confined; null for the operator. */
  readonly scope: string | null;
  readonly given: UpdateAdapter;
  readonly recordChange: RecordChange;
}

/**
 * Changes those settings of an adapter that a request names. Records one event and one audit entry with the settings
 * whose values differ; if no value differs, nothing is changed or recorded.
 *
 * @returns the adapter after the change, with advice on its gate
 * @throws AppError 404, 409 `adapter_in_use` for a new dataset or gate while a job still needs the present one, 422
 *   `invalid_gate`, `metric_needs_answers`, `unknown_slice` or `base_model_version_not_found`
 */
export async function updateAdapter(
  tx: Transaction,
  { id, scope, given, recordChange }: RequestedUpdate,
): Promise<UpdatedAdapter> {
  const job = await lockAdapterForUpdate(tx, id);
  const adapter = await requireAdapter(tx, id, scope);
  const { tenantId } = adapter;
  const { before, after } = changesOf(settingsOf(adapter), given);
  if (Object.keys(after).length === 0) return show(tx, adapter);
  const { dataset_id: _datasetId, ...others } = after;
  const changesTask = 'dataset_id' in after || 'gate' in after;
  if (changesTask) await changeTask(tx, adapter, { ...after, jobId: job?.id ?? null });
  await requirePin(tx, { ...adapter, pin: others.pinned_base_model_version_id });
  await setAdapterSettings(tx, id, others);
  // Outcomes depend on both the dataset and the gate.
  if (changesTask) await requestOutcomesOfLatest(tx, id);
  await recordEvent(tx, { tenantId, type: 'adapter.updated', subjectId: id, data: after });
  await recordChange(tx, { tenantId, subjectId: id, before, after });
  return show(tx, await requireAdapter(tx, id, tenantId));
}

async function show(tx: Transaction, row: AdapterRow): Promise<UpdatedAdapter> {
  const adapter = toAdapter(row);
  const { tenant_id: owner, dataset_id: datasetId, metric, gate } = adapter;
  return { ...adapter, gate_advice: await gateAdviceOf(tx, { datasetId, metric, gate }, owner) };
}

/** Settings of an adapter that a request can change, by their names in the API. */
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

/** Picks the settings whose values a request changes. Returns their values before and after the request. */
function changesOf(now: Settings, given: UpdateAdapter): { before: UpdateAdapter; after: UpdateAdapter } {
  const names = (Object.keys(given) as (keyof Settings)[]).filter((name) => !isDeepStrictEqual(given[name], now[name]));
  const pick = (settings: UpdateAdapter) => Object.fromEntries(names.map((name) => [name, settings[name]]));
  return { before: pick(now), after: pick(given) };
}

interface ChangedTask extends Pick<UpdateAdapter, 'dataset_id' | 'gate'> {
  /** Job that still needs the adapter's present dataset or gate; null if there is none. */
  readonly jobId: string | null;
}

/** Checks an adapter's new dataset and gate against each other and against the metric, and stores the dataset. */
async function changeTask(
  tx: Transaction,
  adapter: AdapterRow,
  { dataset_id: given, gate = adapter.gate as unknown as GateRule, jobId }: ChangedTask,
): Promise<void> {
  const { id, tenantId } = adapter;
  const datasetId = given === undefined ? adapter.datasetId : given;
  checkGate(adapter.metric as MetricName, gate);
  const dataset = await requireDataset(tx, datasetId, tenantId);
  if (dataset !== null) {
    checkMetric(adapter.metric as MetricName, dataset);
    checkSlices(gate, dataset);
  }
  if (jobId !== null) throw adapterInUse(id, jobId);
  if (given !== undefined) await setAdapterDataset(tx, id, given);
  // Looks again: a deletion of the dataset waits for this transaction, or was committed since the first look.
  await requireDataset(tx, datasetId, tenantId);
}

function adapterInUse(id: string, jobId: string) {
  const message =
    `adapter ${id} is being carried over with its dataset and its gate by job ${jobId}: cancel the job, or wait for ` +
    'its end';
  return conflict('adapter_in_use', message, { job_id: jobId });
}
