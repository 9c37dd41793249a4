import { toTimestamp } from '../../platform/contract/schemas.ts';
import type { ReplicaAdapterRow, ReplicaRow } from './replica.repository.ts';
import type { Replica, ReplicaAdapter } from './replica.schemas.ts';

export function toReplica(row: ReplicaRow): Replica {
  return {
    id: row.id,
    engine: row.engine as Replica['engine'],
    name: row.name,
    url: row.url,
    base_model_version_id: row.baseModelVersionId,
    path_prefix: row.pathPrefix,
    max_adapters: row.maxAdapters,
    aliases: row.aliases,
    check: row.check as Replica['check'],
    tenant_ids: row.tenantIds,
    labels: row.labels as Replica['labels'],
    unload_after_ms: row.unloadAfterMs,
    has_api_key: row.sealedApiKey !== null,
    state: row.state as Replica['state'],
    error: row.error as Replica['error'],
    desired: row.desired,
    loaded: row.loaded,
    failed: row.failed,
    last_seen_at: toTimestamp(row.lastSeenAt),
    in_sync_at: toTimestamp(row.inSyncAt),
    created_at: toTimestamp(row.createdAt),
  };
}

export function toReplicaAdapter(row: ReplicaAdapterRow): ReplicaAdapter {
  return {
    id: row.id,
    engine_name: row.engineName,
    tenant_id: row.tenantId,
    adapter_id: row.adapterId,
    adapter_version_id: row.adapterVersionId,
    state: row.state as ReplicaAdapter['state'],
    attempts: row.attempts,
    error: row.error as ReplicaAdapter['error'],
    next_attempt_at: toTimestamp(row.nextAttemptAt),
    checked_at: toTimestamp(row.checkedAt),
    unload_at: toTimestamp(row.unloadAt),
  };
}
