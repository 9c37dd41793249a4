import { Prisma, usualLimit, type Queryable } from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { newId } from '../../platform/contract/ids.ts';
import { FIRST_RUNNING, later, type CommitPosition } from './commit-position.ts';
import type { EventData, EventType } from './catalog/catalog.ts';
import { prunedPosition } from './retention.repository.ts';

interface NewEventOf<T extends EventType> {
  /** Identifier of the event, if it is needed beforehand (default: a new one). */
  id?: string;
  /** The tenant that may see the event; null for the operator alone. */
  tenantId: string | null;
  /** `<subject>.<what happened>`, for example `rollout.completed`. */
  type: T;
  subjectId: string;
  data: EventData<T>;
}
/** An event to be recorded. The catalog describes the data of each type. */
export type NewEvent = { [T in EventType]: NewEventOf<T> }[EventType];

/** SQL condition that excludes copies of events. Tenants read the copies; the operator reads the original event. */
const NO_COPIES = Prisma.sql`AND NOT is_copy`;
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

/**
 * Filter that selects events about one subject, or about one rollout and its jobs. Without members, it selects all
 * events.
 */
export interface EventFilter {
  readonly subjectId?: string;
  readonly rolloutId?: string;
}

/**
 * Events after a position, with the facts from which callers tell whether the position is pruned or ahead of the
 * database.
 */
export interface EventsAfter {
  readonly events: EventRow[];
  /** Position of the last pruned event; null if none was pruned. */
  readonly pruned: CommitPosition | null;
  /**
   * Highest number of a transaction that has ended, plus one. A position beyond this number is ahead of the database.
   */
  readonly next: bigint;
  /** Number of the first transaction that is still running. Events of this and of later transactions are left out. */
  readonly horizon: bigint;
}

interface FoundRow extends Omit<EventRow, 'id'> {
  /**
   * Identifier of the event. If there are no events, the query returns a single row, in which the identifier is null.
   */
  id: string | null;
  pruned_transaction: bigint | null;
  pruned_sequence: bigint | null;
  next: bigint;
  horizon: bigint;
}

/** Subject, rollout and tenant of an event, which determine the streams that receive the event. */
export interface EventSubject {
  readonly tenant_id: string | null;
  readonly subject_id: string;
  readonly rollout_id: string | null;
  /** Whether the event is a tenant's copy of an event of the operator. */
  readonly is_copy: boolean;
}

/** Page of the subjects of the events after a position. */
export interface SubjectPage {
  readonly subjects: EventSubject[];
  /** Position up to which this page covers the events; the next page begins after it. */
  readonly end: CommitPosition;
  readonly isLast: boolean;
}

/**
 * Lists events after a position in the order of commits. They are those that the given tenant may see or, if `tenantId`
 * is null, those that the operator may see.
 */
export async function eventsAfter(
  db: Queryable,
  position: CommitPosition,
  { limit = 100, ...filter }: EventFilter & { limit?: number },
  tenantId: string | null,
): Promise<EventsAfter> {
  // One statement has one snapshot of events, of pruned positions and of transactions, and takes one round trip.
  const rows = await readRows<FoundRow>(
    db,
    Prisma.sql`
      WITH now AS MATERIALIZED (SELECT ${NEXT_TRANSACTION} AS next, ${FIRST_RUNNING} AS horizon)
      SELECT e.*, p.transaction AS pruned_transaction, p.sequence AS pruned_sequence, now.next, now.horizon
      FROM now
      LEFT JOIN (${prunedPosition('events', tenantId)}) AS p ON TRUE
      LEFT JOIN (
        SELECT id, tenant_id, type, subject_id, data, occurred_at, transaction_id, seq FROM events
        ${rangeAfter(position, filter, tenantId)} LIMIT ${usualLimit(limit, 100)}
      ) AS e ON TRUE
      ORDER BY e.transaction_id, e.seq`,
  );
  const { pruned_transaction: prunedTransaction, pruned_sequence: prunedSequence, next, horizon } = rows[0]!;
  const pruned =
    prunedTransaction === null || prunedSequence === null
      ? null
      : { transaction: prunedTransaction, sequence: prunedSequence };
  return { events: rows.filter((row) => row.id !== null) as EventRow[], pruned, next, horizon };
}

/** Lists the subjects of the events of all tenants after a position, in the order of commits. */
export async function subjectsAfter(
  db: Queryable,
  { transaction, sequence }: CommitPosition,
  limit: number,
): Promise<SubjectPage> {
  const rows = await readRows<EventSubject & { transaction_id: bigint | null; seq: bigint; horizon: bigint }>(
    db,
    Prisma.sql`
      WITH now AS MATERIALIZED (SELECT ${FIRST_RUNNING} AS horizon)
      SELECT e.*, now.horizon FROM now LEFT JOIN (
        SELECT transaction_id, seq, tenant_id, subject_id, rollout_id, is_copy FROM events
        WHERE (transaction_id, seq) > (${transaction}::bigint, ${sequence}::bigint)
          AND transaction_id < (SELECT horizon FROM now)
        ORDER BY transaction_id, seq LIMIT ${usualLimit(limit, limit)}
      ) AS e ON TRUE
      ORDER BY e.transaction_id, e.seq`,
  );
  const subjects = rows.filter((row) => row.transaction_id !== null);
  const last = rows.at(-1)!;
  const isLast = subjects.length < limit;
  const end = isLast
    ? later({ transaction, sequence }, { transaction: last.horizon, sequence: 0n })
    : { transaction: last.transaction_id!, sequence: last.seq };
  return { subjects, end, isLast };
}

/**
 * Reads the number of the first transaction that is still running. All changes that are committed later belong to this
 * transaction or to one with a higher number.
 */
export async function firstRunningTransaction(db: Queryable): Promise<bigint> {
  const [row] = await readRows<{ horizon: bigint }>(db, Prisma.sql`SELECT ${FIRST_RUNNING} AS horizon`);
  return row!.horizon;
}

export async function jobExists(db: Queryable, id: string, tenantId: string | null): Promise<boolean> {
  const ofTenant = tenantId === null ? Prisma.empty : Prisma.sql`AND tenant_id = ${tenantId}`;
  return (await readRows(db, Prisma.sql`SELECT id FROM jobs WHERE id = ${id} ${ofTenant}`)).length > 0;
}

/** Whether a rollout exists. Rollouts belong to no tenant. */
export async function rolloutExists(db: Queryable, id: string): Promise<boolean> {
  return (await readRows(db, Prisma.sql`SELECT id FROM rollouts WHERE id = ${id}`)).length > 0;
}

/**
 * Reads the highest number of a transaction that has ended, and adds one. Positions beyond the result are ahead of the
 * database.
 */
export async function nextTransaction(db: Queryable): Promise<bigint> {
  const [row] = await readRows<{ next: bigint }>(db, Prisma.sql`SELECT ${NEXT_TRANSACTION} AS next`);
  return row?.next ?? 0n;
}

/**
 * Makes the SQL conditions and the order for the events after a position that match a filter. Events of the first
 * transaction that is still running, and of later ones, are left out: `horizon` in the query's part `now` is the number
 * of that transaction.
 */
function rangeAfter(
  { transaction, sequence }: CommitPosition,
  { subjectId, rolloutId }: EventFilter,
  tenantId: string | null,
): Prisma.Sql {
  const after = Prisma.sql`${transaction}::bigint, ${sequence}::bigint`;
  if (rolloutId !== undefined && tenantId !== null) {
    // In this form, one index answers the range. PostgreSQL assumes that tenants are spread evenly over rollouts, and
    // would otherwise read all events of a tenant or of a rollout to find a page of those that belong to both.
    return Prisma.sql`
      WHERE (rollout_id, tenant_id, transaction_id, seq) > (${rolloutId}, ${tenantId}, ${after})
        AND (rollout_id, tenant_id, transaction_id) < (${rolloutId}, ${tenantId}, (SELECT horizon FROM now))
      ORDER BY rollout_id, tenant_id, transaction_id, seq`;
  }
  return Prisma.sql`
    WHERE (transaction_id, seq) > (${after}) AND transaction_id < (SELECT horizon FROM now)
      ${tenantId === null ? NO_COPIES : Prisma.sql`AND tenant_id = ${tenantId}`}
      ${subjectId === undefined ? Prisma.empty : Prisma.sql`AND subject_id = ${subjectId}`}
      ${rolloutId === undefined ? Prisma.empty : Prisma.sql`AND rollout_id = ${rolloutId}`}
    ORDER BY transaction_id, seq`;
}
