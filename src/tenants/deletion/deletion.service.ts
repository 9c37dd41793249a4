import type { QueueProducer } from '../../platform/queue/producer.ts';
import { withTransaction, type Database } from '../../platform/database/database.ts';
import { conflict, notFound } from '../../platform/contract/errors.ts';
import { unrecorded } from '../../platform/contract/record-answer.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { unconfined } from '../../platform/database/row-security/confined-database.repository.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { cancelJobsOf } from '../../fleet/job-control/index.ts';
import { deletionRepository as repository } from './deletion.repository.ts';

/** Largest number of adapters that the error `dataset_in_use` names. */
const NAMED = 10;

interface DeletionDependencies {
  readonly db: Database;
  readonly producer: Pick<QueueProducer, 'enqueueAfterCommit' | 'remove'>;
}

/**
 * Creates the service for soft deletion: a deleted resource disappears for all callers at once, and the collector
 * removes its data later. Until then, deleting the resource again changes nothing. `scope` is the tenant to which the
 * caller is confined, or null for the operator.
 */
export function createDeletionService({ db, producer }: DeletionDependencies) {
  return {
    /**
     * Deletes a dataset.
     * @throws AppError 404, 409 `dataset_in_use` if an adapter uses the dataset
     */
    deleteDataset: (id: string, scope: string | null, recordChange: RecordChange = unrecorded): Promise<void> =>
      withTransaction(db, async (tx) => {
        const dataset = await repository.lock(tx, 'datasets', id, scope);
        if (dataset === null) throw notFound('dataset', id);
        if (dataset.deleted_at !== null) return;
        const adapters = await repository.adaptersWith(tx, id, NAMED + 1);
        if (adapters.length > 0) throw datasetInUse(id, adapters);
        await repository.markDeleted(tx, 'datasets', id);
        const { tenant_id: tenantId, name } = dataset;
        await recordEvent(tx, { tenantId, type: 'dataset.deleted', subjectId: id, data: { name } });
        await recordChange(tx, { tenantId, subjectId: id, before: { name }, after: null });
      }),

    /** Deletes an adapter with its versions, and cancels its jobs. @throws AppError 404 */
    async deleteAdapter(id: string, scope: string | null, recordChange: RecordChange = unrecorded): Promise<void> {
      await withTransaction(db, async (tx) => {
        const adapter = await repository.lock(tx, 'adapters', id, scope);
        if (adapter === null) throw notFound('adapter', id);
        if (adapter.deleted_at !== null) return;
        await repository.markDeleted(tx, 'adapters', id);
        const { tenant_id: tenantId, name } = adapter;
        await recordEvent(tx, { tenantId, type: 'adapter.deleted', subjectId: id, data: { name } });
        await recordChange(tx, { tenantId, subjectId: id, before: { name }, after: null });
      });
      // Jobs are cancelled after the commit, because a publication locks the job before the adapter. The collector
      // repeats the cancellation. The connection is unconfined: whether these were the last jobs of their rollouts
      // depends on the jobs of all tenants.
      await cancelJobsOf({ db: unconfined(db), producer }, { adapterId: id });
    },

    /**
     * Deletes a version of an adapter.
     * @throws AppError 404, 409 `latest_version`, 409 `current_version`, 409 `version_in_use` if a job carries the
     * version over
     */
    deleteVersion: (
      adapterId: string,
      id: string,
      scope: string | null,
      recordChange: RecordChange = unrecorded,
    ): Promise<void> =>
      withTransaction(db, async (tx) => {
        const adapter = await repository.lock(tx, 'adapters', adapterId, scope);
        if (adapter === null || adapter.deleted_at !== null) throw notFound('adapter', adapterId);
        const version = await repository.lockVersion(tx, adapterId, id);
        if (version === null) throw notFound('adapter version', id);
        if (version.deleted_at !== null) return;
        const { latest, last } = await repository.lastNumbers(tx, adapterId);
        if (version.number === latest || version.number === last) throw lastVersion(version.number, latest);
        const base = await repository.currentOn(tx, id);
        if (base !== null) throw currentVersion(version.number, adapterId, base);
        const job = await repository.jobFrom(tx, id);
        if (job !== null) throw versionInUse(id, job.id);
        await repository.markVersionDeleted(tx, id);
        const { tenant_id: tenantId } = adapter;
        const data = { adapter_id: adapterId, number: version.number };
        await recordEvent(tx, { tenantId, type: 'adapter_version.deleted', subjectId: id, data });
        await recordChange(tx, { tenantId, subjectId: id, before: data, after: null });
      }),

    /**
     * Deletes a tenant with all its data, cancels its jobs, and refuses its keys from now on.
     * @throws AppError 404
     */
    async deleteTenant(id: string, recordChange: RecordChange = unrecorded): Promise<void> {
      await withTransaction(db, async (tx) => {
        const tenant = await repository.lockTenant(tx, id);
        if (tenant === null) throw notFound('tenant', id);
        if (tenant.deleted_at !== null) return;
        await repository.markDeleted(tx, 'tenants', id);
        // The operator's event outlives the tenant, so it contains no data of the tenant but its identifier.
        await recordEvent(tx, { tenantId: null, type: 'tenant.deleted', subjectId: id, data: {} });
        await recordChange(tx, { tenantId: null, subjectId: id, before: null, after: null });
      });
      await cancelJobsOf({ db, producer }, { tenantId: id });
    },
  };
}

function datasetInUse(id: string, adapters: readonly { id: string; name: string }[]) {
  const named = adapters.slice(0, NAMED);
  const more = adapters.length > NAMED ? ' and others' : '';
  return conflict(
    'dataset_in_use',
    `dataset ${id} is the data of ${named.map(({ name }) => name).join(', ')}${more}: give these adapters ` +
      `another dataset or ` +
      'none with `PATCH /v1/adapters/{id}` and `dataset_id`, or delete them',
    { adapter_ids: named.map((adapter) => adapter.id) },
  );
}

function lastVersion(number: number, latest: number | null) {
  const reason =
    number === latest
      ? 'is the latest one of the adapter, which the next rollout carries over'
      : 'has the highest number of the adapter, which the next version must not get again';
  return conflict('latest_version', `version ${number} ${reason}: import another one first, or delete the adapter`);
}

function currentVersion(number: number, adapterId: string, baseModelVersionId: string) {
  const message =
    `version ${number} is what should be served on base model version ${baseModelVersionId}: make another ` +
    `version or none ` +
    `current with \`PUT /v1/adapters/${adapterId}/current/${baseModelVersionId}\` first`;
  return conflict('current_version', message, { base_model_version_id: baseModelVersionId });
}

function versionInUse(id: string, jobId: string) {
  const message = `adapter version ${id} is being carried over by job ${jobId}: cancel the job, or wait for its end`;
  return conflict('version_in_use', message, { job_id: jobId });
}
