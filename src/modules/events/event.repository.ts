import type { Database, Prisma, Queryable } from '../../lib/database.ts';
import { newId } from '../../lib/ids.ts';
import { ownedBy } from '../../lib/owner.ts';
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

export function createEventRepository(db: Database) {
  return {
    /** Events, oldest first; of one tenant, or of all if `tenantId` is null. */
    after: (query: EventQuery, tenantId: string | null, tx: Queryable = db) =>
      tx.event.findMany({
        where: {
          ...(query.after === undefined ? {} : { seq: { gt: BigInt(query.after) } }),
          ...ownedBy(tenantId),
          subjectId: query.subject_id,
        },
        orderBy: { seq: 'asc' },
        take: query.limit ?? 100,
      }),
  };
}
