import type { Queryable } from '../database/database.ts';
import { CATALOG, ENTRY_NAMES, type QueueEntry, type EntryName, type QueueName } from './catalog.ts';

/**
 * Records entries to be enqueued after the commit, in the transaction that makes the change. One statement writes any
 * number of them. Entries that exist already stay unchanged.
 */
export async function writeOutbox(tx: Queryable, entries: readonly QueueEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const queues = entries.map((entry) => CATALOG[entry.name].queue);
  const ids = entries.map((entry) => entry.id);
  const payloads = entries.map((entry) =>
    JSON.stringify({ name: entry.name, payload: entry.payload, priority: entry.priority }),
  );
  await tx.$executeRaw`
    INSERT INTO outbox (queue, job_id, payload)
    SELECT * FROM unnest(${queues}::text[], ${ids}::text[], ${payloads}::jsonb[])
    ON CONFLICT (queue, job_id) DO NOTHING`;
}

/** Deletes the outbox rows of entries that have been added to their queue. */
export async function deleteFromOutbox(db: Queryable, entries: readonly QueueEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const queues = entries.map((entry) => CATALOG[entry.name].queue);
  const ids = entries.map((entry) => entry.id);
  await db.$executeRaw`
    DELETE FROM outbox o USING unnest(${queues}::text[], ${ids}::text[]) AS e (queue, job_id)
    WHERE o.queue = e.queue AND o.job_id = e.job_id`;
}

/**
 * Lists the outbox entries that have waited for at least `olderThanMs` milliseconds by the database's clock, oldest
 * first. Entries whose names this version's catalog lacks are left to processes of a newer version, which know them.
 * The query uses `statement_timestamp()`, because no index can be searched with `clock_timestamp()`, which changes from
 * row to row.
 */
export async function leftoverEntries(db: Queryable, olderThanMs: number, limit: number): Promise<QueueEntry[]> {
  const rows = await db.$queryRaw<{ job_id: string; payload: StoredPayload }[]>`
    SELECT job_id, payload FROM outbox
    WHERE created_at <= statement_timestamp() - make_interval(secs => ${olderThanMs / 1000}::float8)
      AND payload->>'name' = ANY(${ENTRY_NAMES})
    ORDER BY created_at, id LIMIT ${limit}`;
  return rows.map(({ job_id: id, payload: { name, payload, priority } }) => {
    return { name, id, payload, priority: priority ?? undefined } as QueueEntry;
  });
}

/**
 * Counts the outbox entries that have not been added to the queue yet. Entries whose names this version does not know
 * are left out. Counting stops at `most`.
 */
export async function countPending(db: Queryable, queue: QueueName, most: number): Promise<number> {
  const [row] = await db.$queryRaw<{ count: number }[]>`
    SELECT count(*)::int AS count FROM (
      SELECT 1 FROM outbox WHERE queue = ${queue} AND payload->>'name' = ANY(${ENTRY_NAMES}) LIMIT ${most}
    ) AS known`;
  return row?.count ?? 0;
}

interface StoredPayload {
  name: EntryName;
  payload: unknown;
  priority?: number | null;
}
