import { unprocessable } from '../../platform/contract/errors.ts';
import type { Queryable } from '../../platform/database/database.ts';
import { adviceOn, findDataset } from '../datasets/index.ts';
import { criticalSlices, type GateRule } from '../../../core/options/gates.ts';
import { isGenerated, judgesRows, type MetricName } from '../../../core/options/metrics.ts';
import type { CreatedAdapter } from './adapter.schemas.ts';

/** Largest number of slices that an error message lists. */
const LISTED_SLICES = 10;

/**
 * Checks whether a gate is possible with the adapter's metric.
 *
 * @throws AppError 422 `invalid_gate` for a target or margin outside the range of the metric, for a limit on negative
 *   flips with a metric that does not judge single rows, or for a slice that is named twice
 */
export function checkGate(metric: MetricName, gate: GateRule): void {
  if (!judgesRows(metric) && gate.max_negative_flips !== undefined) {
    const message =
      `gate.max_negative_flips is given, expected none for the metric ${metric}, whose rows are neither right nor ` +
      'wrong: leave it out, or choose accuracy or exact_match';
    throw unprocessable('invalid_gate', message, { field: 'gate.max_negative_flips' });
  }
  if (gate.kind === 'absolute') requireWithin(metric, 'gate.target', gate.target);
  else requireWithin(metric, 'gate.margin', gate.margin);
  const slices = criticalSlices(gate);
  for (const [index, { name, margin }] of slices.entries()) {
    requireWithin(metric, `gate.slices[${index}].margin`, margin);
    if (slices.findIndex((slice) => slice.name === name) === index) continue;
    const field = `gate.slices[${index}].name`;
    throw unprocessable('invalid_gate', `${field} is ${name}, which is named before`, { field });
  }
}

/**
 * Checks whether a metric suits a dataset. On a dataset of prompts alone, two versions can be compared only by a metric
 * that compares their generated texts.
 * @throws AppError 422 `metric_needs_answers` if the dataset has prompts alone and the metric needs answers
 */
export function checkMetric(metric: MetricName, dataset: { readonly id: string; readonly promptsOnly: boolean }): void {
  if (!dataset.promptsOnly || isGenerated(metric)) return;
  const message =
    `the metric is ${metric}, expected exact_match, rouge_l or token_f1: dataset ${dataset.id} has prompts alone, on ` +
    'which only generated texts of two versions can be compared; upload rows with answers, or create the adapter ' +
    'with another metric';
  throw unprocessable('metric_needs_answers', message, { dataset_id: dataset.id });
}

/**
 * Checks that the dataset has gate rows in every slice that the gate names.
 *
 * @param dataset dataset with the number of gate rows in each slice as `gateSlices`; if `gateSlices` is null, the
 *   numbers are unknown and nothing is checked
 * @throws AppError 422 `unknown_slice` for a slice that the gate names but that has no gate row
 */
export function checkSlices(gate: GateRule, dataset: { readonly id: string; readonly gateSlices: unknown }): void {
  if (dataset.gateSlices === null) return;
  const known = Object.keys(dataset.gateSlices as Record<string, number>);
  const missing = criticalSlices(gate).find(({ name }) => !known.includes(name));
  if (missing === undefined) return;
  const others = known.length > LISTED_SLICES ? ` and ${known.length - LISTED_SLICES} others` : '';
  const found =
    known.length === 0 ? 'they name none' : `they name ${known.slice(0, LISTED_SLICES).join(', ')}${others}`;
  const message =
    `the gate names the slice ${missing.name}, which no gate row of ` + `dataset ${dataset.id} is in: ${found}`;
  throw unprocessable('unknown_slice', message, { slice: missing.name, dataset_id: dataset.id });
}

/**
 * Computes advice on what a gate can certify with the gate rows of an adapter's dataset, by the number of these rows;
 * null if the adapter has no dataset or there is nothing to say.
 */
export async function gateAdviceOf(
  db: Queryable,
  { datasetId, metric, gate }: { datasetId: string | null; metric: MetricName; gate: GateRule },
  owner: string,
): Promise<CreatedAdapter['gate_advice']> {
  const dataset = datasetId === null ? null : await findDataset(db, datasetId, owner);
  return adviceOn(dataset, metric, gate);
}

function requireWithin(metric: MetricName, field: string, value: number): void {
  const most = metric === 'loss' ? Infinity : 1;
  if (value >= 0 && value <= most) return;
  const expected = metric === 'loss' ? 'at least 0 (nats per token)' : 'a fraction from 0 to 1';
  throw unprocessable('invalid_gate', `${field} is ${value}, expected ${expected} for the metric ${metric}`, { field });
}
