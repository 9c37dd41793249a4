import { SETTINGS } from '../../platform/config/settings.ts';
import type { Database } from '../../platform/database/database.ts';
import { notFound } from '../../platform/contract/errors.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import {
  formatPosition,
  later,
  parsePosition,
  requireReached,
  requireRetained,
  type CommitPosition,
} from './commit-position.ts';
import { createEventRepository, type EventFilter, type EventRow } from './event.repository.ts';
import type { Event, EventPageQuery, EventQuery, Events } from './event.schemas.ts';

export type EventService = ReturnType<typeof createEventService>;

/** Scope of a list or a stream: one job, one rollout, or all events. */
export type EventSource = { readonly jobId: string } | { readonly rolloutId: string } | 'all';

/** Events after a position. */
export interface EventPage {
  readonly events: Event[];
  /** Position up to which events were read, whether or not there were any. */
  readonly end: CommitPosition;
  /** Whether the page reaches the end of the log. */
  readonly isLast: boolean;
}

/** Lists of events. `scope` is the tenant to which the caller is confined, or null for the operator. */
export function createEventService({ db }: { db: Database }) {
  const events = createEventRepository(db);

  /** @throws AppError 400 `invalid_cursor`, 410 `position_expired` */
  async function read(
    after: CommitPosition,
    query: EventFilter & { limit?: number },
    scope: string | null,
  ): Promise<EventPage> {
    const found = await events.after(after, query, scope);
    const text = formatPosition(after);
    // Whoever starts at 0 gets the events that are kept. Whoever continues must not miss any.
    if (after.transaction !== 0n || after.sequence !== 0n) {
      const advice = `GET /v1/jobs?changed_after=${text} lists the jobs that have changed since`;
      requireRetained(after, found.pruned, { what: 'events', setting: SETTINGS.eventRetentionDays.variable, advice });
    }
    if (found.events.length === 0) requireReached(text, after, found.next);
    const last = found.events.at(-1);
    const isLast = found.events.length < (query.limit ?? 100);
    const reached = { transaction: found.horizon, sequence: 0n };
    // The oldest running transaction may be older than at the last read. Going back to it would repeat events.
    const end = isLast || last === undefined ? later(after, reached) : positionOf(last);
    return { events: found.events.map(toEvent), end, isLast };
  }

  async function list({ after, limit }: EventPageQuery, filter: EventFilter, scope: string | null): Promise<Events> {
    const { events: data } = await read(parsePosition(after ?? '0'), { ...filter, limit }, scope);
    return { data, next_after: data.at(-1)?.sequence ?? after ?? null };
  }

  return {
    read,

    /** @throws AppError 400 `invalid_cursor`, 410 `position_expired` */
    list: ({ subject_id: subjectId, ...query }: EventQuery, scope: string | null): Promise<Events> =>
      list(query, { subjectId }, scope),

    /** @throws AppError 404, 400 `invalid_cursor`, 410 `position_expired` */
    async listOf(source: Exclude<EventSource, 'all'>, query: EventPageQuery, scope: string | null): Promise<Events> {
      return list(query, await this.filterFor(source, scope), scope);
    },

    /** Filter for the events of a job, or of a rollout and its jobs. @throws AppError 404 */
    async filterFor(source: EventSource, scope: string | null): Promise<EventFilter> {
      if (source === 'all') return {};
      if ('jobId' in source) {
        if (!(await events.jobExists(source.jobId, scope))) throw notFound('job', source.jobId);
        return { subjectId: source.jobId };
      }
      if (!(await events.rolloutExists(source.rolloutId))) throw notFound('rollout', source.rolloutId);
      return source;
    },

    /** Position before all events that are committed from now on. */
    now: async (): Promise<CommitPosition> => ({ transaction: await events.horizon(), sequence: 0n }),
  };
}

function positionOf({ transaction_id: transaction, seq: sequence }: EventRow): CommitPosition {
  return { transaction, sequence };
}

/**
 * Maps a row to an event without changes, even if another version of the service recorded a type or data that this
 * version's schema does not describe.
 */
export function toEvent(row: EventRow): Event {
  const { id, tenant_id, type, subject_id, data } = row;
  const sequence = formatPosition(positionOf(row));
  const event = { id, sequence, tenant_id, type, subject_id, data, occurred_at: toTimestamp(row.occurred_at) };
  return event as unknown as Event;
}
