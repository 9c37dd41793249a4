import type { RecoverySource } from '../../platform/queue/sweeper.ts';
import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import { conflict, notFound } from '../../platform/contract/errors.ts';
import { unrecorded } from '../../platform/contract/record-answer.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import { recordEvent, recordEvents } from '../../delivery/events/index.ts';
import { rollbackRepository as repository, type PublishedAdapter, type TenantCounts } from './rollback.repository.ts';
import type { RolloutRollback } from './rollback.schemas.ts';

/** Number of adapters that one transaction rolls back. */
const BATCH = 1000;

interface RollbackDependencies {
  readonly db: Database;
  readonly batch?: number;
}

/**
 * Creates the service that rolls rollouts back: it takes back what a rollout has published. Only the operator may roll
 * back, for all tenants together; a tenant can read the effect on its own adapters.
 */
export function createRollbackService({ db, batch = BATCH }: RollbackDependencies) {
  const get = async (rolloutId: string, scope: string | null = null): Promise<RolloutRollback> => {
    const row = scope === null ? await repository.find(db, rolloutId) : await repository.findOf(db, rolloutId, scope);
    if (row === null) throw notFound('rollback of rollout', rolloutId);
    return {
      rollout_id: rolloutId,
      rolled_back: row.rolledBack,
      left_alone: row.leftAlone,
      requested_at: toTimestamp(row.requestedAt),
      finished_at: toTimestamp(row.finishedAt),
    };
  };
  return {
    /**
     * Reads the rollback of a rollout.
     * @param scope the tenant whose adapters are counted, or null for all
     * @throws AppError 404 if the rollout has not been rolled back
     */
    get,

    /**
     * Rolls back a rollout that has ended. A repeated call continues an interrupted rollback. If the rollback is
     * finished, a repeated call starts it over if a version of the rollout has become current since, and otherwise
     * changes nothing.
     * @throws AppError 404, 409 `rollout_not_ended`
     */
    async rollBack(rolloutId: string, recordChange: RecordChange = unrecorded): Promise<RolloutRollback> {
      await withTransaction(db, (tx) => request(tx, rolloutId, recordChange));
      await rollBackInBatches({ db, batch }, rolloutId);
      return get(rolloutId);
    },
  };
}

async function request(tx: Transaction, rolloutId: string, recordChange: RecordChange): Promise<void> {
  const rollout = await repository.lockRollout(tx, rolloutId);
  if (rollout === null) throw notFound('rollout', rolloutId);
  if (rollout.finished_at === null) throw notEnded(rolloutId, rollout.state);
  const earlier = await repository.find(tx, rolloutId);
  if (earlier?.finishedAt === null) return;
  // A retried job may have published since, or somebody has made a version of the rollout current again.
  if (earlier !== null && !(await repository.isCurrentSomewhere(tx, rolloutId))) return;
  await repository.begin(tx, rolloutId);
  await recordEvent(tx, { tenantId: null, type: 'rollout.rolling_back', subjectId: rolloutId, data: {} });
  const after = { rollback: 'requested' };
  await recordChange(tx, { tenantId: null, subjectId: rolloutId, before: null, after });
}

/**
 * Rolls back the adapters for which a rollout has published a version, in batches that are each committed with their
 * events. If the process dies in between, the next call continues after the last batch. Concurrent calls take turns.
 */
async function rollBackInBatches({ db, batch }: Required<RollbackDependencies>, rolloutId: string): Promise<void> {
  let goesOn = true;
  while (goesOn) goesOn = await withTransaction(db, (tx) => rollBackBatch(tx, rolloutId, batch));
}

/**
 * Rolls back one batch of adapters.
 * @returns whether another batch follows
 */
async function rollBackBatch(tx: Transaction, rolloutId: string, limit: number): Promise<boolean> {
  const place = await repository.lock(tx, rolloutId);
  if (place === null) return false;
  const published = await repository.page(tx, rolloutId, { after: place.after, limit });
  const adapters = published.map((row) => row.adapter_id);
  await repository.lockAdapters(tx, adapters);
  const moved = await repository.move(tx, rolloutId, adapters);
  await recordEvents(
    tx,
    moved.map(({ tenant_id: tenantId, adapter_id: subjectId, base_model_version_id, from, to }) => ({
      tenantId,
      type: 'adapter.current_moved',
      subjectId,
      data: { base_model_version_id, from, to, rollout_id: rolloutId },
    })),
  );
  const last = adapters.length < limit ? null : (adapters.at(-1) ?? null);
  const counts = { rolledBack: moved.length, leftAlone: adapters.length - moved.length };
  await repository.countByTenant(tx, rolloutId, countsByTenant(published, new Set(moved.map((row) => row.adapter_id))));
  await repository.advance(tx, rolloutId, { last, ...counts });
  if (last === null) await recordEnd(tx, rolloutId);
  return last !== null;
}

function countsByTenant(published: readonly PublishedAdapter[], moved: ReadonlySet<string>): TenantCounts[] {
  const counts = new Map<string, TenantCounts>();
  for (const { adapter_id: adapterId, tenant_id: tenantId } of published) {
    const { rolledBack, leftAlone } = counts.get(tenantId) ?? { rolledBack: 0, leftAlone: 0 };
    const isMoved = moved.has(adapterId);
    counts.set(tenantId, {
      tenantId,
      rolledBack: rolledBack + (isMoved ? 1 : 0),
      leftAlone: leftAlone + (isMoved ? 0 : 1),
    });
  }
  return [...counts.values()];
}

async function recordEnd(tx: Transaction, rolloutId: string): Promise<void> {
  const row = await repository.find(tx, rolloutId);
  const data = { rolled_back: row?.rolledBack ?? 0, left_alone: row?.leftAlone ?? 0 };
  await recordEvent(tx, { tenantId: null, type: 'rollout.rolled_back', subjectId: rolloutId, data });
}

/**
 * Creates the source by which the sweeper continues rollbacks of processes that have died. Rollbacks have no queue
 * entries.
 */
export function rollbackRecoverySource({ db, batch = BATCH }: RollbackDependencies): RecoverySource {
  return {
    queue: 'rollouts',
    expired: () => Promise.resolve([]),
    countLive: () => Promise.resolve(0),
    live: () => Promise.resolve([]),
    repair: async () => {
      for (const id of await repository.unfinished(db)) await rollBackInBatches({ db, batch }, id);
    },
  };
}

function notEnded(id: string, state: string) {
  const message =
    state === 'cancelled' || state === 'failed'
      ? `rollout ${id} is ${state}, and its jobs are still being cancelled: ` +
        'roll it back when its `finished_at` is set'
      : `rollout ${id} is ${state}, and may still publish: wait for its end, or cancel it first`;
  return conflict('rollout_not_ended', message);
}
