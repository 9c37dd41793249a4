import { isAbsolute } from 'node:path';
import { engineName } from './engine-name.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import type { ServedRow } from './served-version.repository.ts';
import type { ServedVersion } from './serving.schemas.ts';

/**
 * Converts a row to the served version in an answer.
 * @param scope tenant that receives the answer; null for the operator
 */
export function toServedVersion(row: ServedRow, scope: string | null): ServedVersion {
  const { tenant, adapter, number, servingName } = row;
  return {
    adapter_id: row.adapterId,
    tenant_id: row.tenantId,
    base_model_version_id: row.baseModelVersionId,
    base_model_fingerprint: row.fingerprint,
    serving_name: scope === null || !isAbsolute(servingName) ? servingName : null,
    alias: engineName({ tenant, adapter }),
    name: engineName({ tenant, adapter, number }),
    adapter_version_id: row.versionId,
    number,
    provisional: row.provisional,
    rank: row.rank,
    digest: row.digest,
    bytes: Number(row.bytes),
    changed_at: toTimestamp(row.changedAt),
    download: `/v1/adapters/${row.adapterId}/versions/${row.versionId}/download`,
    files: `/v1/adapters/${row.adapterId}/versions/${row.versionId}/files`,
  };
}
