import { formatPosition, type CommitPosition } from '../commit-position.ts';
import type { EventPage } from '../event.service.ts';
import { eventFrame } from './event-frames.ts';

/** How many pages are read at a time: streams leave the connections to requests. */
const MOST_AT_A_TIME = 2;

/** A page as streams send it. */
export interface FramedPage extends Omit<EventPage, 'events'> {
  readonly text: string;
}

/**
 * Reads pages of events for streams. Those that go on from the same place, with the same events to see, share what is read and
 * written, so a thousand streams of a rollout cost one query.
 */
export function createSharedPages() {
  const reading = new Map<string, Promise<FramedPage>>();
  const inTurn = createTurns(MOST_AT_A_TIME);
  return {
    /** @param seen what the stream may see: streams with the same text see the same events */
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

/** Makes a function that runs so many works at a time, in the order in which they come. */
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
