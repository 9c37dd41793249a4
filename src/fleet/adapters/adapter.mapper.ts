import { toTimestamp } from '../../platform/contract/schemas.ts';
import type { ShownAdapter, ShownVersion } from './adapter-page.repository.ts';
import type { NegativeFlipRow } from './adapter.repository.ts';
import type { AdapterResource, AdapterVersion, CurrentVersion, NegativeFlipResource } from './adapter.schemas.ts';
import type { CurrentVersionKey, CurrentVersionRow } from './current/current-version.repository.ts';

export function toAdapter(row: ShownAdapter): AdapterResource {
  const latest = row.versions[0];
  return {
    id: row.id,
    tenant_id: row.tenantId,
    name: row.name,
    base_model_id: row.baseModelId,
    base_model_name: row.baseModel.name,
    dataset_id: row.datasetId,
    metric: row.metric as AdapterResource['metric'],
    gate: row.gate as AdapterResource['gate'],
    append_eos: row.appendEos,
    max_length: row.maxLength,
    labels: row.labels as AdapterResource['labels'],
    pinned_base_model_version_id: row.pinnedBaseModelVersionId,
    approval: row.approval as AdapterResource['approval'],
    latest_version: latest === undefined ? null : toAdapterVersion(latest),
    current: row.currentVersions.map((current) => toCurrentVersion(current, current)),
    created_at: toTimestamp(row.createdAt),
  };
}

/**
 * Builds the answer that says which version of an adapter is current on a base model version.
 *
 * @param row null if the adapter never had a current version on this base model version
 */
export function toCurrentVersion(
  { adapterId, baseModelVersionId }: CurrentVersionKey,
  row: CurrentVersionRow | null,
): CurrentVersion {
  return {
    adapter_id: adapterId,
    base_model_version_id: baseModelVersionId,
    version_id: row?.adapterVersionId ?? null,
    number: row?.adapterVersion?.number ?? null,
    digest: row?.adapterVersion?.artifactDigest ?? null,
    provisional: row?.adapterVersion?.provisional ?? false,
    previous_version_id: row?.previousVersionId ?? null,
    changed_at: row === null ? null : toTimestamp(row.changedAt),
  };
}

export function toAdapterVersion(row: ShownVersion): AdapterVersion {
  const { anchor: _, ...others } = metricsOf(row);
  const metrics = row.metrics === null ? null : (others as AdapterVersion['metrics']);
  return {
    id: row.id,
    adapter_id: row.adapterId,
    tenant_id: row.tenantId,
    number: row.number,
    base_model_version_id: row.baseModelVersionId,
    parent_version_id: row.parentVersionId,
    origin: row.origin as AdapterVersion['origin'],
    source: row.source as AdapterVersion['source'],
    provisional: row.provisional,
    digest: row.artifactDigest,
    rank: row.rank,
    lora_alpha: row.loraAlpha,
    strategy: row.strategy as AdapterVersion['strategy'],
    fusion_alpha: row.fusionAlpha,
    fusion_beta: row.fusionBeta,
    metrics,
    gate_value: valueOf(row),
    anchor: anchorOf(row),
    job_id: row.jobId,
    created_at: toTimestamp(row.createdAt),
  };
}

/**
 * Metrics of a version in the form in which a worker's `adaptation.repository.ts` stored them when it published the
 * version.
 */
interface StoredMetrics {
  readonly value?: number;
  readonly anchor?: { readonly version_id: string; readonly number: number | null; readonly value: number };
}

function metricsOf({ metrics }: ShownVersion): StoredMetrics {
  return (metrics ?? {}) as StoredMetrics;
}

function valueOf(row: ShownVersion): number | null {
  return metricsOf(row).value ?? row.gateOutcomes?.value ?? null;
}

function anchorOf(row: ShownVersion): AdapterVersion['anchor'] {
  const { anchor, value } = metricsOf(row);
  return anchor === undefined || value === undefined ? null : { ...anchor, difference: value - anchor.value };
}

export function toNegativeFlip({ row, slices, datasetId }: NegativeFlipRow): NegativeFlipResource {
  return { dataset_id: datasetId, row, slices };
}
