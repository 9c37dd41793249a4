import { toTimestamp } from '../../platform/contract/schemas.ts';
import { showError } from '../../platform/contract/shown-error.ts';
import type { RolloutOptions } from '../rollouts/index.ts';
import type { DriftRow, ForecastRow, OutcomeRow, TruthRow } from './forecast.repository.ts';
import type { ForecastResult } from './forecast.result.ts';
import type { Forecast, ForecastEntry } from './forecast.schemas.ts';
import type { Prediction, Range } from './prediction/predict.ts';

/** Rows of other tables that the answer about a forecast needs. */
export interface ForecastParts {
  readonly drifts: readonly DriftRow[];
  /** Rollout with which the forecast is compared; null if there is none. */
  readonly rollout: OutcomeRow | null;
  /** Figures measured in the rollout with which the forecast is compared; null until that rollout has ended. */
  readonly truth: TruthRow | null;
}

export function toForecastEntry(row: ForecastRow): ForecastEntry {
  return {
    id: row.id,
    base_model_version_id: row.baseModelVersionId,
    base_model_name: row.baseModelVersion.baseModel.name,
    version: row.baseModelVersion.version,
    dry_run: row.rolloutId === null,
    state: row.state as ForecastEntry['state'],
    options: row.options as RolloutOptions,
    error: showError(row.error, null),
    requested_at: toTimestamp(row.requestedAt),
    computed_at: toTimestamp(row.computedAt),
  };
}

export function toForecast(row: ForecastRow, { drifts, rollout, truth }: ForecastParts): Forecast {
  const result = row.result as unknown as ForecastResult | null;
  const prediction = result?.prediction ?? null;
  const takes = prediction?.rollout_ms?.expected ?? null;
  return {
    ...toForecastEntry(row),
    rollout_id: rollout?.id ?? null,
    compatibility: (result?.old_versions ?? []).map((version) => compatibilityOf(version, drifts)),
    adapters: result?.adapters ?? null,
    tenants: [...(result?.tenants ?? [])],
    tenant_count: result?.tenant_count ?? null,
    skipped: [...(result?.skipped ?? [])],
    waves: [...(result?.waves ?? [])],
    workers: [...(result?.workers ?? [])],
    jobs_ahead: result?.jobs_ahead ?? null,
    figures: figuresOf(prediction, truth),
    reason: result?.reason ?? null,
    basis: [...(result?.basis ?? [])],
    ends_at: rollout === null || takes === null ? null : toTimestamp(new Date(rollout.accepted_at.getTime() + takes)),
  };
}

function compatibilityOf(
  { base_model_version_id: id, adapters, problem }: ForecastResult['old_versions'][number],
  drifts: readonly DriftRow[],
): Forecast['compatibility'][number] {
  const evolution = drifts.find((drift) => drift.old_base_model_version_id === id && drift.state === 'ready');
  return {
    old_base_model_version_id: id,
    adapters,
    problem: showError(problem, null),
    drift: evolution?.drift ?? null,
    drift_by_projection: evolution?.projections ?? null,
    drift_of_unadaptable: evolution?.unadaptable ?? null,
    advice: evolution?.advice ?? null,
  };
}

/** Pairs each predicted figure with the figure that was measured in the rollout. */
function figuresOf(prediction: Prediction | null, truth: TruthRow | null): Forecast['figures'] {
  const figure = (name: keyof Prediction & keyof TruthRow) =>
    toFigure(prediction?.[name] ?? null, truth?.[name] ?? null);
  return {
    device_seconds: figure('device_seconds'),
    control_device_seconds: figure('control_device_seconds'),
    ttr_p50_ms: figure('ttr_p50_ms'),
    ttr_p90_ms: figure('ttr_p90_ms'),
    makespan_ms: figure('makespan_ms'),
  };
}

function toFigure(range: Range | null, actual: number | null): Forecast['figures']['device_seconds'] {
  const predicted = range?.expected ?? null;
  const ratio = predicted === null || predicted === 0 || actual === null ? null : actual / predicted;
  return { predicted, low: range?.low ?? null, high: range?.high ?? null, actual, ratio };
}
