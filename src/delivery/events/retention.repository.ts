import { Prisma, type Queryable } from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { FIRST_RUNNING, type CommitPosition } from './commit-position.ts';

/** Names of the logs that are read and pruned in the order of commits: the events and the audit log. */
export type CommitLog = 'events' | 'audit_entries';

/**
 * Names under which the database stores, for each log, the position of the last pruned entry. `columns` is the prefix
 * of two columns in `tenants` with the position for the tenant, and `row` is the key of the row in `event_retention`
 * with the position for the whole log.
 */
const NOTED = {
  events: { columns: 'events_pruned', row: 'all' },
  audit_entries: { columns: 'audit_pruned', row: 'audit' },
} as const;

/**
 * Deletes at most `limit` events or audit entries older than `days` days, in the order of commits. Stores the position
 * of the last deleted one, for the whole log and for each tenant. Pruning stops at the first entry that is too young,
 * or that is not readable yet because an earlier transaction is still running.
 * @returns the number of deleted entries
 */
export async function pruneLog(
  tx: Queryable,
  log: CommitLog,
  { days, limit }: { days: number; limit: number },
): Promise<number> {
  const table = Prisma.raw(log);
  const transactionColumn = Prisma.raw(`${NOTED[log].columns}_transaction_id`);
  const seqColumn = Prisma.raw(`${NOTED[log].columns}_seq`);
  const [row] = await tx.$queryRaw<{ count: number }[]>`
    WITH oldest AS (
      SELECT seq, transaction_id, occurred_at FROM ${table} WHERE transaction_id < ${FIRST_RUNNING}
      ORDER BY transaction_id, seq LIMIT ${limit}
    ), judged AS (
      SELECT seq, bool_and(occurred_at < clock_timestamp() - make_interval(days => ${days}::int))
        OVER (ORDER BY transaction_id, seq) AS is_old
      FROM oldest
    ), gone AS (
      DELETE FROM ${table} e USING judged WHERE e.seq = judged.seq AND judged.is_old
      RETURNING e.tenant_id, e.transaction_id, e.seq
    ), marked AS (
      UPDATE tenants t SET ${transactionColumn} = newest.transaction_id, ${seqColumn} = newest.seq
      FROM (
        SELECT DISTINCT ON (tenant_id) tenant_id, transaction_id, seq FROM gone
        ORDER BY tenant_id, transaction_id DESC, seq DESC
      ) AS newest
      WHERE t.id = newest.tenant_id
    ), noted AS (
      INSERT INTO event_retention (id, transaction_id, seq)
      SELECT ${NOTED[log].row}, transaction_id, seq FROM gone ORDER BY transaction_id DESC, seq DESC LIMIT 1
      ON CONFLICT (id) DO UPDATE SET transaction_id = EXCLUDED.transaction_id, seq = EXCLUDED.seq
    )
    SELECT count(*)::int AS count FROM gone`;
  return row?.count ?? 0;
}

/**
 * Reads the position of the last pruned entry of a tenant, or of the whole log if `tenantId` is null. The position is
 * null if none was pruned.
 */
export async function prunedUpTo(
  db: Queryable,
  log: CommitLog,
  tenantId: string | null,
): Promise<CommitPosition | null> {
  const [row] = await readRows<CommitPosition>(db, prunedPosition(log, tenantId));
  return row ?? null;
}

/** Makes the query by which {@link prunedUpTo} reads the position, for use inside another query. */
export function prunedPosition(log: CommitLog, tenantId: string | null): Prisma.Sql {
  const { columns, row } = NOTED[log];
  if (tenantId === null) {
    return Prisma.sql`SELECT transaction_id AS transaction, seq AS sequence FROM event_retention WHERE id = ${row}`;
  }
  const [transaction, sequence] = [Prisma.raw(`${columns}_transaction_id`), Prisma.raw(`${columns}_seq`)];
  return Prisma.sql`
    SELECT ${transaction} AS transaction, ${sequence} AS sequence
    FROM tenants WHERE id = ${tenantId} AND ${sequence} <> 0`;
}
