import type { Database, Prisma, Queryable } from '../lib/database.ts';
import { CATALOG, isJobName, type JobEntry, type QueueName } from './catalog.ts';

/**
 * Records, in the transaction that makes a change, the jobs to be enqueued once it has committed. It is one statement
 * for any number of jobs; entries that exist already stay as they are.
 */
export async function writeOutbox(tx: Queryable, entries: readonly JobEntry[]): Promise<void> {
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

/** Deletes the entries of jobs that the queue has. */
export async function deleteFromOutbox(db: Queryable, entries: readonly JobEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const queues = entries.map((entry) => CATALOG[entry.name].queue);
  const ids = entries.map((entry) => entry.id);
  await db.$executeRaw`
    DELETE FROM outbox o USING unnest(${queues}::text[], ${ids}::text[]) AS e (queue, job_id)
    WHERE o.queue = e.queue AND o.job_id = e.job_id`;
}

/**
 * The entries that have waited for `olderThanMs` by the database's clock, oldest first. An index cannot be searched for
 * `clock_timestamp()`, which changes from row to row.
 */
export async function leftoverEntries(db: Queryable, olderThanMs: number, limit: number): Promise<JobEntry[]> {
  const rows = await db.$queryRaw<{ job_id: string; payload: Prisma.JsonObject }[]>`
    SELECT job_id, payload FROM outbox
    WHERE created_at <= statement_timestamp() - make_interval(secs => ${olderThanMs / 1000}::float8)
    ORDER BY created_at, id LIMIT ${limit}`;
  return rows.map((row) => toEntry(row.job_id, row.payload));
}

/** Counts the jobs that a queue has not been given yet, up to `most`. */
export function countPending(db: Database, queue: QueueName, most: number): Promise<number> {
  return db.outboxEntry.count({ where: { queue }, take: most });
}

function toEntry(id: string, stored: Prisma.JsonObject): JobEntry {
  if (typeof stored.name !== 'string' || !isJobName(stored.name)) {
    throw new Error(`outbox entry ${id} names the job ${JSON.stringify(stored.name)}, which is not in the catalog`);
  }
  return { name: stored.name, id, payload: stored.payload, priority: stored.priority ?? undefined } as JobEntry;
}
