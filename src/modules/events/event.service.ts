import { EVENT_RETENTION_VARIABLE } from '../../config/config.ts';
import type { Database } from '../../lib/database.ts';
import { toTimestamp } from '../../lib/schemas.ts';
import { formatPosition, parsePosition, requireReached, requireRetained } from './commit-position.ts';
import { createEventRepository, type EventRow } from './event.repository.ts';
import type { Event, EventQuery, Events } from './event.schemas.ts';

export type EventService = ReturnType<typeof createEventService>;

/** In all methods `scope` is the tenant to which the caller is confined, or null for the operator. */
export function createEventService({ db }: { db: Database }) {
  const events = createEventRepository(db);
  return {
    /** @throws AppError 400 `invalid_cursor`, 410 `position_expired` */
    async list(query: EventQuery, scope: string | null): Promise<Events> {
      const after = query.after ?? '0';
      const position = parsePosition(after);
      const found = await events.after(position, query, scope);
      // A reader who begins gets what there is; one who goes on must not miss anything.
      const begins = position.transaction === 0n && position.sequence === 0n;
      if (!begins) {
        const advice = `GET /v1/jobs?changed_after=${formatPosition(position)} lists the jobs that have changed since`;
        const retained = { what: 'events', setting: EVENT_RETENTION_VARIABLE, advice };
        requireRetained(position, found.pruned, retained);
      }
      if (found.events.length === 0) requireReached(after, position, found.next);
      const data = found.events.map(toEvent);
      return { data, next_after: data.at(-1)?.sequence ?? query.after ?? null };
    },
  };
}

/** An event as the API shows it. */
export function toEvent(row: EventRow): Event {
  return {
    id: row.id,
    sequence: formatPosition({ transaction: row.transaction_id, sequence: row.seq }),
    tenant_id: row.tenant_id,
    type: row.type,
    subject_id: row.subject_id,
    data: row.data,
    occurred_at: toTimestamp(row.occurred_at),
  };
}
