import type { Transaction } from '../../platform/database/database.ts';
import { newId } from '../../platform/contract/ids.ts';
import type { RecordAnswer } from '../../platform/contract/record-answer.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { importAdapter, type ImportDependencies, type ImportedAdapter } from './adapter-import.ts';
import { toAdapterVersion } from './adapter.mapper.ts';
import { insertAdapterVersion } from './adapter.repository.ts';
import type { AdapterVersion } from './adapter.schemas.ts';
import { requireAdapter, requireVersionOfModel } from './references.ts';
import { keptFeatures } from './served-features.ts';
import type { GivenAdapter } from './sources/given-adapter.ts';

export interface VersionImport {
  readonly adapterId: string;
  /** Identifier of the base model version on which the adapter was trained, or its version text, such as `2`. */
  readonly baseModelVersion: string;
  readonly given: GivenAdapter;
  /** The tenant to which the caller is confined; null for the operator. */
  readonly scope: string | null;
  readonly record: RecordAnswer<AdapterVersion>;
}

/**
 * Imports files as the next version of an adapter.
 *
 * @throws AppError 403 `quota_exceeded`, 404, 413, 422 such as `invalid_archive` or `invalid_adapter`; neither rows nor
 *   files remain after an error
 */
export async function importVersion(
  deps: ImportDependencies,
  { adapterId, baseModelVersion, given, scope, record }: VersionImport,
): Promise<AdapterVersion> {
  const adapter = await requireAdapter(deps.db, adapterId, scope);
  const base = await requireVersionOfModel(deps.db, adapter.baseModel, baseModelVersion);
  const target = { owner: adapter.tenantId, scope, model: adapter.baseModel, base };
  return importAdapter(deps, given, target, async (tx, imported, room) => {
    const version = await insertImportedVersion(tx, adapter, base.id, imported);
    await room.settle(tx, { stored_bytes: imported.artifact.bytes });
    await record(tx, version);
    return version;
  });
}

/**
 * Inserts an imported version and the event of its import.
 * @throws AppError 404 if the adapter was deleted while its files were read
 */
export async function insertImportedVersion(
  tx: Transaction,
  adapter: { readonly id: string; readonly tenantId: string },
  baseModelVersionId: string,
  { artifact, inspected, source }: ImportedAdapter,
): Promise<AdapterVersion> {
  const { id: adapterId, tenantId } = adapter;
  const { rank, loraAlpha, targets, parameters, features } = inspected;
  const row = await insertAdapterVersion(tx, {
    id: newId('adapterVersion'),
    tenantId,
    adapterId,
    baseModelVersionId,
    origin: 'imported',
    ...(source !== null && { source }),
    artifactDigest: artifact.digest,
    rank,
    loraAlpha,
    servedFeatures: keptFeatures(features),
  });
  // The insertion has locked the adapter's row, so a deletion is either seen here or waits.
  await requireAdapter(tx, adapterId, tenantId);
  const data = {
    adapter_id: adapterId,
    number: row.number,
    digest: artifact.digest,
    rank,
    lora_alpha: loraAlpha,
    targets,
    parameters,
  };
  await recordEvent(tx, { tenantId, type: 'adapter_version.imported', subjectId: row.id, data });
  return toAdapterVersion(row);
}
