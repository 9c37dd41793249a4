import { Prisma, type Database, type Queryable } from '../../lib/database.ts';
import { newId } from '../../lib/ids.ts';
import { FIRST_RUNNING, type CommitPosition } from './commit-position.ts';
import type { EventQuery } from './event.schemas.ts';

export interface NewEvent {
  /** The tenant that may see the event; null for the operator alone. */
  tenantId: string | null;
  /** `<subject>.<what happened>`, for example `rollout.completed`. */
  type: string;
  subjectId: string;
  data: Prisma.InputJsonObject;
}

/** Records an event. Call it in the transaction that makes the change. */
export async function recordEvent(tx: Queryable, event: NewEvent): Promise<void> {
  await recordEvents(tx, [event]);
}

/** Records many events with one statement, in the given order. */
export async function recordEvents(tx: Queryable, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return;
  await tx.event.createMany({ data: events.map((event) => ({ id: newId('event'), ...event })) });
}

interface EventRow {
  id: string;
  tenant_id: string | null;
  type: string;
  subject_id: string;
  data: Prisma.JsonObject;
  occurred_at: Date;
  transaction_id: bigint;
  seq: bigint;
}

export function createEventRepository(db: Database) {
  return {
    /** Events after a position, in the order of commits; of one tenant, or of all if `tenantId` is null. */
    after: (
      { transaction, sequence }: CommitPosition,
      query: EventQuery,
      tenantId: string | null,
      tx: Queryable = db,
    ): Promise<EventRow[]> => {
      const ofTenant = tenantId === null ? Prisma.empty : Prisma.sql`AND tenant_id = ${tenantId}`;
      const ofSubject =
        query.subject_id === undefined ? Prisma.empty : Prisma.sql`AND subject_id = ${query.subject_id}`;
      return tx.$queryRaw<EventRow[]>`
        SELECT id, tenant_id, type, subject_id, data, occurred_at, transaction_id, seq FROM events
        WHERE (transaction_id, seq) > (${transaction}::bigint, ${sequence}::bigint) AND transaction_id < ${FIRST_RUNNING}
          ${ofTenant} ${ofSubject}
        ORDER BY transaction_id, seq LIMIT ${query.limit ?? 100}`;
    },

    /** The number of the next transaction. */
    async nextTransaction(tx: Queryable = db): Promise<bigint> {
      const [row] = await tx.$queryRaw<{ next: bigint }[]>`
        SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next`;
      return row?.next ?? 0n;
    },
  };
}
