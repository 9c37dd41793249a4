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
import {
  eventsAfter,
  firstRunningTransaction,
  jobExists,
  rolloutExists,
  type EventFilter,
  type EventRow,
} from './event.repository.ts';
import type { Event, EventPageQuery, EventQuery, Events } from './event.schemas.ts';

/** Selection of events for a list or a stream: those of one job, of one rollout, or all. */
export type EventSource = { readonly jobId: string } | { readonly rolloutId: string } | 'all';

/** Page of the events after a position. */
export interface EventPage {
  readonly events: Event[];
  /** Position up to which events were read, whether or not there were any. */
  readonly end: CommitPosition;
  /** Whether the page reaches the end of the log, so that nothing follows it yet. */
  readonly isLast: boolean;
}

/**
 * Service for reading events. In its methods, `scope` is the tenant to which the caller is confined, or null for the
 * operator.
 */
export interface EventService {
  /** Reads the events after a position. @throws AppError 400 `invalid_cursor`, 410 `position_expired` */
  read(after: CommitPosition, query: EventFilter & { limit?: number }, scope: string | null): Promise<EventPage>;
  /** Lists the events that match a query. @throws AppError 400 `invalid_cursor`, 410 `position_expired` */
  list(query: EventQuery, scope: string | null): Promise<Events>;
  /**
   * Lists the events of a job, or of a rollout.
   * @throws AppError 404 if there is no such job or rollout; 400 `invalid_cursor`, 410 `position_expired`
   */
  listOf(source: Exclude<EventSource, 'all'>, query: EventPageQuery, scope: string | null): Promise<Events>;
  /**
   * Makes the filter for the events of a job, or of a rollout and its jobs.
   * @throws AppError 404 if there is no such job or rollout
   */
  filterFor(source: EventSource, scope: string | null): Promise<EventFilter>;
  /** Reads the position that comes before everything that will be committed from now on. */
  now(): Promise<CommitPosition>;
}

export function createEventService({ db }: { db: Database }): EventService {
  const read: EventService['read'] = async (after, query, scope) => {
    const found = await eventsAfter(db, after, query, scope);
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
  };

  async function list({ after, limit }: EventPageQuery, filter: EventFilter, scope: string | null): Promise<Events> {
    const { events: data } = await read(parsePosition(after ?? '0'), { ...filter, limit }, scope);
    return { data, next_after: data.at(-1)?.sequence ?? after ?? null };
  }

  async function filterFor(source: EventSource, scope: string | null): Promise<EventFilter> {
    if (source === 'all') return {};
    if ('jobId' in source) {
      if (!(await jobExists(db, source.jobId, scope))) throw notFound('job', source.jobId);
      return { subjectId: source.jobId };
    }
    if (!(await rolloutExists(db, source.rolloutId))) throw notFound('rollout', source.rolloutId);
    return source;
  }

  return {
    read,
    list: ({ subject_id: subjectId, ...query }, scope) => list(query, { subjectId }, scope),
    listOf: async (source, query, scope) => list(query, await filterFor(source, scope), scope),
    filterFor,
    now: async () => ({ transaction: await firstRunningTransaction(db), sequence: 0n }),
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
