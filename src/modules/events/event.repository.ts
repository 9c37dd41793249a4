import type { Database, Queryable } from '../../lib/database.ts';
import type { EventQuery } from './event.schemas.ts';

export function createEventRepository(db: Database) {
  return {
    /** Oldest first. A tenant sees its own events alone. */
    after: (query: EventQuery, tenantId: string | null, tx: Queryable = db) =>
      tx.event.findMany({
        where: {
          ...(query.after === undefined ? {} : { seq: { gt: BigInt(query.after) } }),
          ...(tenantId === null ? {} : { tenantId }),
          subjectId: query.subject_id,
        },
        orderBy: { seq: 'asc' },
        take: query.limit ?? 100,
      }),
  };
}
