import type { Logger } from '../../../lib/logger.ts';
import { isBefore, later, type CommitPosition } from '../commit-position.ts';
import type { EventFilter, EventSubject, SubjectPage } from '../event.repository.ts';

/** Interval at which the database is asked for new events while streams wait, in milliseconds. */
const POLL_MS = 500;

/**
 * Selection of the events that a stream waits for: those that match the filter, of one tenant, or of all if `tenantId`
 * is null.
 */
export interface EventInterest extends EventFilter {
  readonly tenantId: string | null;
}

/**
 * Reason to resume a waiting stream, which is that there may be events for the stream, or that a heartbeat is due. No
 * event for the stream lies between the position from which it waited and `position`.
 */
export interface Wake {
  readonly reason: 'events' | 'heartbeat';
  readonly position: CommitPosition;
}

interface Waiter {
  readonly key: string;
  wake(reason: Wake['reason'] | 'end', announced: CommitPosition | null): void;
}

interface EventWatchOptions {
  /** Reads the subjects of the events after a position, and the position up to which the answer covers all events. */
  readonly subjectsAfter: (position: CommitPosition) => Promise<SubjectPage>;
  readonly heartbeatMs: number;
  readonly logger: Pick<Logger, 'warn'>;
  readonly pollMs?: number;
}

/**
 * Wakes streams when they have new events. All streams of a process share one query, which runs twice a second while
 * any stream waits. PostgreSQL's notifications would not do: an event becomes readable when every earlier transaction
 * has ended, and transactions that write no event notify nobody.
 */
export function createEventWatch({ subjectsAfter, heartbeatMs, logger, pollMs = POLL_MS }: EventWatchOptions) {
  const waiters = new Set<Waiter>();
  /** Position up to which all waiting streams were woken; null while no stream waits. */
  let announced: CommitPosition | null = null;
  let polling: NodeJS.Timeout | null = null;
  let closed = false;

  const wakeAll = (reason: Wake['reason'] | 'end', which: (waiter: Waiter) => boolean = () => true): void => {
    for (const waiter of [...waiters]) if (which(waiter)) waiter.wake(reason, announced);
  };
  const heartbeat = setInterval(() => wakeAll('heartbeat'), heartbeatMs).unref();

  async function poll(): Promise<void> {
    const from = announced;
    if (from === null) return;
    try {
      const { subjects, end, isLast } = await subjectsAfter(from);
      const keys = new Set(subjects.flatMap(keysOf));
      // The waiting streams have missed nothing up to `from`, so all of them resume there and can share a page.
      if (keys.size > 0) wakeAll('events', (waiter) => keys.has(waiter.key));
      announced = end;
      schedule(isLast ? pollMs : 0);
    } catch (error) {
      logger.warn({ err: error }, 'new events could not be looked for: trying again');
      schedule(pollMs);
    }
  }

  function schedule(delayMs: number): void {
    polling = null;
    if (waiters.size === 0 || closed) announced = null;
    else polling = setTimeout(() => void poll(), delayMs).unref();
  }

  return {
    /**
     * Waits until there may be events after the position, or for the next heartbeat.
     * @returns null if the signal or `close` has ended the stream
     */
    async next(interest: EventInterest, position: CommitPosition, signal: AbortSignal): Promise<Wake | null> {
      if (closed || signal.aborted) return null;
      // Events may have been announced between the stream's last read and this call.
      if (announced !== null && isBefore(position, announced)) return { reason: 'events', position };
      announced ??= position;
      return new Promise((resolve) => {
        const settle = (wake: Wake | null): void => {
          waiters.delete(waiter);
          signal.removeEventListener('abort', end);
          resolve(wake);
        };
        const end = (): void => settle(null);
        const waiter: Waiter = {
          key: interestKey(interest),
          wake: (reason, reached) =>
            settle(reason === 'end' ? null : { reason, position: later(position, reached ?? position) }),
        };
        signal.addEventListener('abort', end);
        waiters.add(waiter);
        if (polling === null) schedule(pollMs);
      });
    },

    /** Ends the waiting of all streams. */
    close(): void {
      closed = true;
      clearInterval(heartbeat);
      if (polling !== null) clearTimeout(polling);
      wakeAll('end');
    },
  };
}

const ANY = '*';

/** Makes the key of a stream's selection of events. Streams with the same key see the same events. */
export function interestKey({ tenantId, subjectId, rolloutId }: EventInterest): string {
  return `${tenantId ?? ANY} ${rolloutId ?? subjectId ?? ANY}`;
}

/** Lists the keys, in the form that {@link interestKey} makes, of all selections that include an event. */
function keysOf(event: EventSubject): string[] {
  const { tenant_id: tenantId, subject_id: subjectId, rollout_id: rolloutId, is_copy: isCopy } = event;
  const tenants = [...(isCopy ? [] : [ANY]), ...(tenantId === null ? [] : [tenantId])];
  const subjects = rolloutId === null ? [ANY, subjectId] : [ANY, subjectId, rolloutId];
  return tenants.flatMap((tenant) => subjects.map((subject) => `${tenant} ${subject}`));
}
