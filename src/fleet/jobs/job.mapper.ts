import { toTimestamp } from '../../platform/contract/schemas.ts';
import { showError } from '../../platform/contract/shown-error.ts';
import type { JobRow } from './job.repository.ts';
import type { Job, MetricPointResource } from './job.schemas.ts';

/**
 * Builds the answer about a job.
 * @param scope the tenant to which the caller is confined, or null for the operator
 */
export function toJob(row: JobRow, scope: string | null): Job {
  return {
    id: row.id,
    rollout_id: row.rolloutId,
    tenant_id: row.tenantId,
    adapter_id: row.adapterId,
    adapter_name: row.adapterName,
    kind: row.kind,
    state: row.state,
    phase: row.phase,
    phase_since: row.ttrMs === null && row.finishedAt === null ? toTimestamp(row.phaseSince) : null,
    strategy: row.strategy as Job['strategy'],
    own_options: row.ownOptions as Job['own_options'],
    won_strategy: row.wonStrategy as Job['won_strategy'],
    fusion_alpha: row.fusionAlpha,
    fusion_beta: row.fusionBeta,
    step: row.step,
    total_steps: row.totalSteps,
    metric: {
      name: row.metricName as Job['metric']['name'],
      target: row.metricTarget,
      old: row.metricOld,
      anchor: row.metricAnchor,
      none: row.metricNone,
      copy: row.metricCopy,
      // Once a candidate is published, metric_best is its value.
      published: row.publishedId === null ? null : row.metricBest,
      best: row.metricBest,
    },
    certificate: row.certificate as Job['certificate'],
    ttr_ms: row.ttrMs,
    phases: {
      queue_wait: row.queueWaitMs,
      held: row.heldMs,
      prepare: row.prepareMs,
      evolution: row.evolutionMs,
      initialize: row.initializeMs,
      fine_tune: row.fineTuneMs,
      evaluate: row.evaluateMs,
      publish: row.publishMs,
    },
    approval: row.approval as Job['approval'],
    wave: row.wave,
    paused_at: toTimestamp(row.pausedAt),
    paused_by: row.pausedBy as Job['paused_by'],
    waits_for_job_id: row.waitsForId,
    attempt: row.attempt,
    error: showError(row.error, scope),
    row_format: rowFormatOf(row),
    warnings: row.warnings,
    anchor_version_id: row.anchorVersionId,
    published_version_id: row.publishedId,
    created_at: toTimestamp(row.createdAt),
    started_at: toTimestamp(row.startedAt),
    ready_at: toTimestamp(row.readyAt),
    finished_at: toTimestamp(row.finishedAt),
    updated_at: toTimestamp(row.updatedAt),
  };
}

function rowFormatOf({ appendEos, appendEosReason, maxLength }: JobRow): Job['row_format'] {
  if (appendEos === null || appendEosReason === null || maxLength === null) return null;
  return { append_eos: appendEos, append_eos_reason: appendEosReason, max_length: maxLength };
}

export function toMetricPoint(row: {
  id: bigint;
  name: string;
  step: number;
  value: number;
  recordedAt: Date;
}): MetricPointResource {
  return {
    id: row.id.toString(),
    name: row.name,
    step: row.step,
    value: row.value,
    recorded_at: toTimestamp(row.recordedAt),
  };
}
