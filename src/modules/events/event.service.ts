import type { Database } from '../../lib/database.ts';
import { toTimestamp } from '../../lib/schemas.ts';
import { createEventRepository } from './event.repository.ts';
import type { Event, EventQuery, Events } from './event.schemas.ts';

/** In all methods `scope` is the tenant to which the caller is confined, or null for the operator. */
export function createEventService({ db }: { db: Database }) {
  const events = createEventRepository(db);
  return {
    async list(query: EventQuery, scope: string | null): Promise<Events> {
      const rows = await events.after(query, scope);
      const data = rows.map((row) => ({
        id: row.id,
        sequence: row.seq.toString(),
        tenant_id: row.tenantId,
        type: row.type,
        subject_id: row.subjectId,
        data: row.data as Event['data'],
        occurred_at: toTimestamp(row.occurredAt),
      }));
      return { data, next_after: data.at(-1)?.sequence ?? query.after ?? null };
    },
  };
}
