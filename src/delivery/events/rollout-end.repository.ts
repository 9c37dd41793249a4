import type { Transaction } from '../../platform/database/database.ts';
import { newId } from '../../platform/contract/ids.ts';
import { showError } from '../../platform/contract/shown-error.ts';
import { recordEvent, type NewEvent } from './event.repository.ts';

type EndType = 'rollout.completed' | 'rollout.failed' | 'rollout.cancelled';
type WithoutReader<E> = E extends NewEvent ? Omit<E, 'id' | 'tenantId'> : never;
/**
 * Event about the end of a rollout, without the tenant that may see the event, because {@link recordRolloutEnd} records
 * the event once for each reader.
 */
type RolloutEnd = WithoutReader<Extract<NewEvent, { type: EndType }>>;

/**
 * Records the end of a rollout: an event for the operator, and a copy for each tenant with jobs in the rollout, so
 * there are never more copies than jobs. A copy is an ordinary event of its tenant, so readers for tenants need no
 * special case. The copies come first: a reader that has reached the operator's event has passed all copies.
 */
export async function recordRolloutEnd(tx: Transaction, end: RolloutEnd): Promise<void> {
  const { type, subjectId } = end;
  const tenants = await tx.$queryRaw<{ tenant_id: string }[]>`
    SELECT DISTINCT tenant_id FROM rollout_tenant_counts WHERE rollout_id = ${subjectId} AND jobs > 0
    ORDER BY tenant_id`;
  const copies = tenants.map(({ tenant_id: tenantId }) => ({ id: newId('event'), tenantId }));
  await tx.$executeRaw`
    INSERT INTO events (id, tenant_id, type, subject_id, data, is_copy)
    SELECT c.id, c."tenantId", ${type}, ${subjectId}, ${JSON.stringify(dataForTenants(end))}::jsonb, true
    FROM jsonb_to_recordset(${JSON.stringify(copies)}::jsonb) AS c (id text, "tenantId" text)`;
  await recordEvent(tx, { tenantId: null, ...end });
}

/**
 * Makes the data of the copies for tenants. An error is reduced to what tenants may see. All tenants may see the same,
 * so `showError` needs no particular tenant's identifier.
 */
function dataForTenants(end: RolloutEnd): object {
  return end.type === 'rollout.failed' ? { error: showError(end.data.error, 'any tenant') } : end.data;
}
