import { withTransaction, type Database, type Transaction } from '../../../platform/database/database.ts';
import { conflict, notFound, unprocessable } from '../../../platform/contract/errors.ts';
import { unrecorded } from '../../../platform/contract/record-answer.ts';
import type { RecordChange } from '../../../platform/contract/record-change.ts';
import { toCurrentVersion } from '../adapter.mapper.ts';
import { lockAdapter } from '../adapter.repository.ts';
import type { CurrentVersion, SetCurrentVersion } from '../adapter.schemas.ts';
import { requireAdapter, requireAdapterVersion } from '../references.ts';
import { currentVersionRepository as repository, type CurrentVersionKey } from './current-version.repository.ts';

/**
 * Creates the service that reads and changes the current versions of adapters. In all methods `scope` is the tenant to
 * which the caller is confined, or null for the operator.
 */
export function createCurrentVersionService({ db }: { db: Database }) {
  /**
   * Checks that the adapter exists and that the base model version belongs to the adapter's base model. Returns the
   * identifier of the tenant that owns the adapter.
   * @throws AppError 404
   */
  async function requireKey(
    { adapterId, baseModelVersionId }: CurrentVersionKey,
    scope: string | null,
    tx?: Transaction,
  ): Promise<string> {
    const adapter = await requireAdapter(tx ?? db, adapterId, scope);
    if (!(await repository.isOfModel(tx ?? db, adapter.baseModelId, baseModelVersionId))) {
      throw notFound('base model version', baseModelVersionId);
    }
    return adapter.tenantId;
  }

  /**
   * Checks that the adapter has a version with the identifier `id`, and that it is a version for the base model
   * version. An `id` of null is accepted.
   * @throws AppError 404, 422 `version_of_another_base`
   */
  async function requireVersion(
    tx: Transaction,
    { adapterId, baseModelVersionId }: CurrentVersionKey,
    id: string | null,
  ): Promise<void> {
    if (id === null) return;
    const version = await requireAdapterVersion(tx, { adapterId, id }, null);
    if (version.baseModelVersionId === baseModelVersionId) return;
    throw unprocessable(
      'version_of_another_base',
      `adapter version ${id} is for base model version ${version.baseModelVersionId}, expected one for ` +
        `${baseModelVersionId}`,
    );
  }

  return {
    /**
     * Reads which version of an adapter is current on a base model version.
     * @throws AppError 404 if the adapter or the base model version is not found
     */
    async get(key: CurrentVersionKey, scope: string | null): Promise<CurrentVersion> {
      await requireKey(key, scope);
      return toCurrentVersion(key, await repository.find(db, key));
    },

    /**
     * Makes a version of an adapter current on a base model version, or makes none current. Refuses the change if the
     * version that is current now is not the one that the caller expects. Changes nothing if the wanted version is
     * current already.
     * @throws AppError 404, 409 `current_version_changed`, 422 `version_of_another_base`
     */
    set: (
      key: CurrentVersionKey,
      { version_id: to, expected_version_id: expected }: SetCurrentVersion,
      scope: string | null,
      recordChange: RecordChange = unrecorded,
    ): Promise<CurrentVersion> =>
      withTransaction(db, async (tx) => {
        await lockAdapter(tx, key.adapterId);
        const tenantId = await requireKey(key, scope, tx);
        await requireVersion(tx, key, to);
        if (expected !== null && !(await repository.isKnown(tx, key.adapterId, expected))) {
          throw notFound('adapter version', expected);
        }
        const from = (await repository.find(tx, key))?.adapterVersionId ?? null;
        if (from !== to) {
          if (from !== expected) throw currentVersionChanged(key, from, expected);
          await repository.move(tx, { ...key, tenantId }, { from, to });
          await repository.recordMove(tx, { ...key, tenantId }, { from, to });
          const base = { base_model_version_id: key.baseModelVersionId };
          const [before, after] = [
            { ...base, version_id: from },
            { ...base, version_id: to },
          ];
          await recordChange(tx, { tenantId, subjectId: key.adapterId, before, after });
        }
        return toCurrentVersion(key, await repository.find(tx, key));
      }),
  };
}

function currentVersionChanged(
  { adapterId, baseModelVersionId }: CurrentVersionKey,
  actual: string | null,
  expected: string | null,
) {
  const named = (id: string | null) => (id === null ? 'no version' : `version ${id}`);
  const message =
    `${named(actual)} of adapter ${adapterId} is current on base model version ${baseModelVersionId}, ` +
    `expected ${named(expected)}`;
  return conflict('current_version_changed', message, { current_version_id: actual });
}
