import { Prisma, usualLimit, type Database, type Queryable } from '../../lib/database.ts';
import { readRows } from '../../lib/database-reads.ts';
import { newId } from '../../lib/ids.ts';
import { FIRST_RUNNING, type CommitPosition } from './commit-position.ts';
import type { EventQuery } from './event.schemas.ts';
import { prunedPosition } from './retention.repository.ts';

export interface NewEvent {
  /** Its identifier, where it is needed beforehand (default: a new one). */
  id?: string;
  /** The tenant that may see the event; null for the operator alone. */
  tenantId: string | null;
  /** `<subject>.<what happened>`, for example `rollout.completed`. */
  type: string;
  subjectId: string;
  data: Prisma.InputJsonObject;
}

const NEXT_TRANSACTION = Prisma.sql`pg_snapshot_xmax(pg_current_snapshot())::text::bigint`;

/** Records an event. Call it in the transaction that makes the change. */
export async function recordEvent(tx: Queryable, event: NewEvent): Promise<void> {
  await recordEvents(tx, [event]);
}

/** Records many events with one statement, in the given order. */
export async function recordEvents(tx: Queryable, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return;
  await tx.event.createMany({ data: events.map((event) => ({ id: newId('event'), ...event })) });
}

export interface EventRow {
  id: string;
  tenant_id: string | null;
  type: string;
  subject_id: string;
  data: Prisma.JsonObject;
  occurred_at: Date;
  transaction_id: bigint;
  seq: bigint;
}

/** Events after a position, and what tells whether some are missing. */
export interface EventsAfter {
  readonly events: EventRow[];
  /** Position of the last one that was pruned; null if none was. */
  readonly pruned: CommitPosition | null;
  /** The number of the next transaction. */
  readonly next: bigint;
}

interface FoundRow extends Omit<EventRow, 'id'> {
  /** Null if there is no event. */
  id: string | null;
  pruned_transaction: bigint | null;
  pruned_sequence: bigint | null;
  next: bigint;
}

export function createEventRepository(db: Database) {
  return {
    /** Events after a position, in the order of commits; of one tenant, or of all if `tenantId` is null. */
    async after(
      { transaction, sequence }: CommitPosition,
      query: EventQuery,
      tenantId: string | null,
      tx: Queryable = db,
    ): Promise<EventsAfter> {
      const ofTenant = tenantId === null ? Prisma.empty : Prisma.sql`AND tenant_id = ${tenantId}`;
      const ofSubject =
        query.subject_id === undefined ? Prisma.empty : Prisma.sql`AND subject_id = ${query.subject_id}`;
      // One statement has one view of events, of what was pruned and of transactions, and takes one round trip.
      const rows = await readRows<FoundRow>(
        tx,
        Prisma.sql`
          SELECT e.*, p.transaction AS pruned_transaction, p.sequence AS pruned_sequence, n.next
          FROM (SELECT ${NEXT_TRANSACTION} AS next) AS n
          LEFT JOIN (${prunedPosition('events', tenantId)}) AS p ON TRUE
          LEFT JOIN (
            SELECT id, tenant_id, type, subject_id, data, occurred_at, transaction_id, seq FROM events
            WHERE (transaction_id, seq) > (${transaction}::bigint, ${sequence}::bigint)
              AND transaction_id < ${FIRST_RUNNING} ${ofTenant} ${ofSubject}
            ORDER BY transaction_id, seq LIMIT ${usualLimit(query.limit ?? 100, 100)}
          ) AS e ON TRUE
          ORDER BY e.transaction_id, e.seq`,
      );
      const { pruned_transaction: prunedTransaction, pruned_sequence: prunedSequence, next } = rows[0]!;
      const pruned =
        prunedTransaction === null || prunedSequence === null
          ? null
          : { transaction: prunedTransaction, sequence: prunedSequence };
      return { events: rows.filter((row) => row.id !== null) as EventRow[], pruned, next };
    },

    /** The number of the next transaction. */
    async nextTransaction(tx: Queryable = db): Promise<bigint> {
      const [row] = await readRows<{ next: bigint }>(tx, Prisma.sql`SELECT ${NEXT_TRANSACTION} AS next`);
      return row?.next ?? 0n;
    },
  };
}
