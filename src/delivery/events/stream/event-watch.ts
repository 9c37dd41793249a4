import type { Logger } from '../../../lib/logger.ts';
import { isBefore, later, type CommitPosition } from '../commit-position.ts';
import type { EventFilter, EventSubject, SubjectPage } from '../event.repository.ts';

/** How often the database is asked for new events while streams wait for some, in milliseconds. */
const POLL_MS = 500;

/** What a stream waits for: events of a tenant, or of all if `tenantId` is null. */
export interface EventInterest extends EventFilter {
  readonly tenantId: string | null;
}

/** Why a stream goes on: there may be events, or it should show that it is alive. Nothing that concerns it is before the position. */
export interface Wake {
  readonly reason: 'events' | 'heartbeat';
  readonly position: CommitPosition;
}

interface Waiter {
  readonly key: string;
  wake(reason: Wake['reason'] | 'end', announced: CommitPosition | null): void;
}

interface EventWatchOptions {
  /** What the events after a position are about, and up to where that was looked at. */
  readonly subjectsAfter: (position: CommitPosition) => Promise<SubjectPage>;
  readonly heartbeatMs: number;
  readonly logger: Pick<Logger, 'warn'>;
  readonly pollMs?: number;
}

/**
 * Wakes streams whose events have come. All streams of a process share one query for that, twice a second while any stream waits, so
 * one that waits costs the database nothing. PostgreSQL's notifications would not do: an event can be read when every transaction
 * before its own has ended, and of those that write no event nobody is notified.
 */
export function createEventWatch({ subjectsAfter, heartbeatMs, logger, pollMs = POLL_MS }: EventWatchOptions) {
  const waiters = new Set<Waiter>();
  /** Whoever waits for an event up to here was woken. Null while nobody waits. */
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
      // Those who wait have missed nothing up to `from`, so all of them go on from there and can share what they read.
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
     * @returns null if the signal or the end of the process has ended the stream
     */
    async next(interest: EventInterest, position: CommitPosition, signal: AbortSignal): Promise<Wake | null> {
      if (closed || signal.aborted) return null;
      // What came between the stream's reading and now may have been announced without it.
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
          key: keyOf(interest),
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

/** Readers with the same key see the same events. */
export function keyOf({ tenantId, subjectId, rolloutId }: EventInterest): string {
  return `${tenantId ?? ANY} ${rolloutId ?? subjectId ?? ANY}`;
}

/** The keys of all interests that an event concerns. */
function keysOf(event: EventSubject): string[] {
  const { tenant_id: tenantId, subject_id: subjectId, rollout_id: rolloutId, is_copy: isCopy } = event;
  const tenants = [...(isCopy ? [] : [ANY]), ...(tenantId === null ? [] : [tenantId])];
  const subjects = rolloutId === null ? [ANY, subjectId] : [ANY, subjectId, rolloutId];
  return tenants.flatMap((tenant) => subjects.map((subject) => `${tenant} ${subject}`));
}
