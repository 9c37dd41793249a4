import { toTimestamp } from '../../lib/schemas.ts';
import type { AdapterRow, AdapterVersionRow, NegativeFlipRow } from './adapter.repository.ts';
import type { Adapter, AdapterVersion, NegativeFlip } from './adapter.schemas.ts';

export function toAdapter(row: AdapterRow): Adapter {
  const latest = row.versions[0];
  return {
    id: row.id,
    tenant_id: row.tenantId,
    name: row.name,
    base_model_id: row.baseModelId,
    base_model_name: row.baseModel.name,
    dataset_id: row.datasetId,
    metric: row.metric as Adapter['metric'],
    gate: row.gate as Adapter['gate'],
    append_eos: row.appendEos,
    max_length: row.maxLength,
    latest_version: latest === undefined ? null : toAdapterVersion(latest),
    created_at: toTimestamp(row.createdAt),
  };
}

export function toAdapterVersion(row: AdapterVersionRow): AdapterVersion {
  return {
    id: row.id,
    adapter_id: row.adapterId,
    tenant_id: row.tenantId,
    number: row.number,
    base_model_version_id: row.baseModelVersionId,
    parent_version_id: row.parentVersionId,
    origin: row.origin,
    digest: row.artifactDigest,
    rank: row.rank,
    lora_alpha: row.loraAlpha,
    strategy: row.strategy,
    fusion_alpha: row.fusionAlpha,
    fusion_beta: row.fusionBeta,
    metrics: row.metrics as AdapterVersion['metrics'],
    job_id: row.jobId,
    created_at: toTimestamp(row.createdAt),
  };
}

export function toNegativeFlip({ row, slices, datasetId }: NegativeFlipRow): NegativeFlip {
  return { dataset_id: datasetId, row, slices };
}
