import { withTransaction, type Database } from '../../platform/database/database.ts';
import { AppError, conflict, notFound } from '../../platform/contract/errors.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { unrecorded } from '../../platform/contract/record-answer.ts';
import {
  adapterExists,
  findAdapterRow,
  findAdapterVersion,
  toAdapter,
  toAdapterVersion,
} from '../../fleet/adapters/index.ts';
import { datasetExists, findDataset, toDataset } from '../../fleet/datasets/index.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { findTenant, tenantExists, toTenant } from '../tenants/index.ts';
import { deletionRepository } from './deletion.repository.ts';
import { formerName, undeleteRepository as repository } from './undelete.repository.ts';

/**
 * Creates the service that undoes deletions. A deletion can be undone until the collector begins to remove the data, so
 * a restored resource lacks nothing. Undeleting a resource that is not deleted changes nothing. Jobs that the deletion
 * cancelled stay cancelled. `scope` is the tenant to which the caller is confined, or null for the operator.
 */
export function createUndeleteService({ db }: { db: Database }) {
  return {
    /**
     * Restores a dataset.
     * @throws AppError 404, 409 `dataset_exists`
     */
    undeleteDataset: (id: string, scope: string | null, recordChange: RecordChange = unrecorded) =>
      withTransaction(db, async (tx) => {
        const dataset = await repository.lockDataset(tx, id, scope);
        if (dataset === null) throw notFound('dataset', id);
        if (dataset.deleted_at !== null) {
          const name = formerName(dataset.name, id);
          if (!(await repository.restore(tx, { table: 'dataset', id, name }))) throw datasetExists(name);
          const { tenant_id: tenantId } = dataset;
          await recordEvent(tx, { tenantId, type: 'dataset.undeleted', subjectId: id, data: { name } });
          await recordChange(tx, { tenantId, subjectId: id, before: null, after: { name } });
        }
        return toDataset(await existing(findDataset(tx, id, scope), 'dataset', id));
      }),

    /**
     * Restores an adapter with its versions.
     * @throws AppError 404, 409 `adapter_exists`, 409 `dataset_deleted`, 410 `grace_time_over`
     */
    undeleteAdapter: (id: string, scope: string | null, recordChange: RecordChange = unrecorded) =>
      withTransaction(db, async (tx) => {
        const dataset = await repository.lockDatasetOf(tx, id, scope);
        const adapter = await repository.lockAdapter(tx, id, scope);
        if (adapter === null) throw notFound('adapter', id);
        if (adapter.deleted_at !== null) {
          if (adapter.collection_began_at !== null) throw graceTimeOver('adapter', id, adapter.deleted_at);
          if (dataset !== null && dataset.deleted_at !== null) throw datasetDeleted(id, dataset.id);
          const name = formerName(adapter.name, id);
          if (!(await repository.restore(tx, { table: 'adapter', id, name }))) throw adapterExists(name);
          const { tenant_id: tenantId } = adapter;
          await recordEvent(tx, { tenantId, type: 'adapter.undeleted', subjectId: id, data: { name } });
          await recordChange(tx, { tenantId, subjectId: id, before: null, after: { name } });
        }
        return toAdapter(await existing(findAdapterRow(tx, id, scope), 'adapter', id));
      }),

    /**
     * Restores a version of an adapter that was deleted alone. A version that was deleted with its adapter comes back
     * with the adapter.
     * @throws AppError 404
     */
    undeleteVersion: (adapterId: string, id: string, scope: string | null, recordChange: RecordChange = unrecorded) =>
      withTransaction(db, async (tx) => {
        const adapter = await deletionRepository.lock(tx, 'adapters', adapterId, scope);
        if (adapter === null || adapter.deleted_at !== null) throw notFound('adapter', adapterId);
        const version = await deletionRepository.lockVersion(tx, adapterId, id);
        if (version === null) throw notFound('adapter version', id);
        if (version.deleted_at !== null) {
          await repository.restoreVersion(tx, id);
          const { tenant_id: tenantId } = adapter;
          const data = { adapter_id: adapterId, number: version.number };
          await recordEvent(tx, { tenantId, type: 'adapter_version.undeleted', subjectId: id, data });
          await recordChange(tx, { tenantId, subjectId: id, before: null, after: data });
        }
        return toAdapterVersion(
          await existing(findAdapterVersion(tx, { adapterId, id }, scope), 'adapter version', id),
        );
      }),

    /**
     * Restores a tenant with all its data. Its API keys work again.
     * @throws AppError 404, 409 `tenant_exists`, 410 `grace_time_over`
     */
    undeleteTenant: (id: string, recordChange: RecordChange = unrecorded) =>
      withTransaction(db, async (tx) => {
        const tenant = await repository.lockTenant(tx, id);
        if (tenant === null) throw notFound('tenant', id);
        if (tenant.deleted_at !== null) {
          if (tenant.collection_began_at !== null) throw graceTimeOver('tenant', id, tenant.deleted_at);
          const name = formerName(tenant.name, id);
          if (!(await repository.restore(tx, { table: 'tenant', id, name }))) throw tenantExists(name);
          await recordEvent(tx, { tenantId: id, type: 'tenant.undeleted', subjectId: id, data: { name } });
          await recordChange(tx, { tenantId: id, subjectId: id, before: null, after: { name } });
        }
        return toTenant(await existing(findTenant(tx, id), 'tenant', id));
      }),
  };
}

/**
 * Waits for a query and requires that it has found the row. The row may be missing if its tenant was deleted after the
 * row was locked.
 * @throws AppError 404
 */
async function existing<T>(found: PromiseLike<T | null>, what: string, id: string): Promise<T> {
  const row = await found;
  if (row === null) throw notFound(what, id);
  return row;
}

function datasetDeleted(adapterId: string, datasetId: string): AppError {
  const message = `adapter ${adapterId} has the dataset ${datasetId}, which is deleted too: undelete that one first`;
  return conflict('dataset_deleted', message, { dataset_id: datasetId });
}

function graceTimeOver(what: string, id: string, deletedAt: Date): AppError {
  return new AppError({
    code: 'grace_time_over',
    status: 410,
    message:
      `${what} ${id} was deleted at ${deletedAt.toISOString()}, and it is being removed, because its ` +
      `grace time is over`,
    details: { deleted_at: deletedAt.toISOString() },
  });
}
