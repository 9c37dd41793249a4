import type { Queryable } from '../../lib/database.ts';
import { FIRST_RUNNING, type CommitPosition } from './commit-position.ts';

/**
 * Deletes at most `limit` events that are older than so many days, from the beginning of the order of commits, and notes the
 * position of the last one, for all readers and for those of its tenant. An event that somebody could not have read yet is
 * kept, and so is everything after an event that is not old enough.
 * @returns how many were deleted
 */
export async function pruneEvents(tx: Queryable, { days, limit }: { days: number; limit: number }): Promise<number> {
  const [row] = await tx.$queryRaw<{ count: number }[]>`
    WITH oldest AS (
      SELECT seq, transaction_id, occurred_at FROM events WHERE transaction_id < ${FIRST_RUNNING}
      ORDER BY transaction_id, seq LIMIT ${limit}
    ), judged AS (
      SELECT seq, bool_and(occurred_at < clock_timestamp() - make_interval(days => ${days}::int))
        OVER (ORDER BY transaction_id, seq) AS is_old
      FROM oldest
    ), gone AS (
      DELETE FROM events e USING judged WHERE e.seq = judged.seq AND judged.is_old
      RETURNING e.tenant_id, e.transaction_id, e.seq
    ), marked AS (
      UPDATE tenants t SET events_pruned_transaction_id = newest.transaction_id, events_pruned_seq = newest.seq
      FROM (
        SELECT DISTINCT ON (tenant_id) tenant_id, transaction_id, seq FROM gone
        ORDER BY tenant_id, transaction_id DESC, seq DESC
      ) AS newest
      WHERE t.id = newest.tenant_id
    ), noted AS (
      INSERT INTO event_retention (id, transaction_id, seq)
      SELECT 'all', transaction_id, seq FROM gone ORDER BY transaction_id DESC, seq DESC LIMIT 1
      ON CONFLICT (id) DO UPDATE SET transaction_id = EXCLUDED.transaction_id, seq = EXCLUDED.seq
    )
    SELECT count(*)::int AS count FROM gone`;
  return row?.count ?? 0;
}

/** Position of the last event that was pruned: of a tenant's, or of all if `tenantId` is null. Null if none was. */
export async function prunedUpTo(db: Queryable, tenantId: string | null): Promise<CommitPosition | null> {
  if (tenantId === null) {
    const row = await db.eventRetention.findUnique({ where: { id: 'all' } });
    return row === null ? null : { transaction: row.transactionId, sequence: row.seq };
  }
  const row = await db.tenant.findUnique({
    where: { id: tenantId },
    select: { eventsPrunedTransactionId: true, eventsPrunedSeq: true },
  });
  if (row === null || row.eventsPrunedSeq === 0n) return null;
  return { transaction: row.eventsPrunedTransactionId, sequence: row.eventsPrunedSeq };
}
