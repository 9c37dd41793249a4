import { formatPosition, type CommitPosition } from '../commit-position.ts';
import type { EventPage } from '../event.service.ts';
import { eventFrame } from './event-frames.ts';

/**
 * Largest number of pages of events that streams read at a time. The other database connections stay free for requests.
 */
const MOST_AT_A_TIME = 2;

/** Page of events, formatted as the text that streams send. */
export interface FramedPage extends Omit<EventPage, 'events'> {
  readonly text: string;
}

/**
 * Reads pages of events for streams. Streams at the same position with the same filter share the query and the
 * formatted page, so a thousand streams of a rollout cost one query.
 */
export function createSharedPages() {
  const reading = new Map<string, Promise<FramedPage>>();
  const inTurn = createTurns(MOST_AT_A_TIME);
  return {
    /**
     * Reads the page after a position, or waits for the same page if another stream is reading it.
     * @param seen key of the stream's selection of events: streams with the same key see the same events
     */
    read(
      seen: string,
      position: CommitPosition,
      read: (position: CommitPosition) => Promise<EventPage>,
    ): Promise<FramedPage> {
      const key = `${seen} ${formatPosition(position)}`;
      const shared = reading.get(key);
      if (shared !== undefined) return shared;
      const page = inTurn(() => read(position))
        .then(({ events, end, isLast }) => ({ text: events.map(eventFrame).join(''), end, isLast }))
        .finally(() => reading.delete(key));
      reading.set(key, page);
      return page;
    },
  };
}

/** Creates a limiter that runs at most `most` tasks at a time, in the order of their arrival. */
function createTurns(most: number) {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
