import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../../platform/database/database.ts';
import { AppError } from '../../../platform/contract/errors.ts';
import type { Logger } from '../../../lib/logger.ts';
import { parsePosition, type CommitPosition } from '../commit-position.ts';
import { subjectsAfter } from '../event.repository.ts';
import { createEventService, type EventSource } from '../event.service.ts';
import { heartbeatFrame, openingFrame } from './event-frames.ts';
import { createEventWatch, interestKey, type EventInterest } from './event-watch.ts';
import { createSharedPages, type FramedPage } from './shared-pages.ts';
import { createStreamSlots, type StreamLimits } from './stream-limits.ts';

/** Largest number of events that one query examines to find out which streams have new events. */
const WATCHED = 1000;
/** Delay before a stream reads again after a failed query, in milliseconds. */
const RETRY_READING_MS = 1000;
/**
 * Longest time that streams may take to end when the service stops, in milliseconds. After this time, the connections
 * of clients that do not read are cut.
 */
const END_MS = 250;

/** Client that reads a stream of events, and its rights. */
export interface StreamReader {
  /** Database restricted to the rows that the client may see. */
  readonly db: Database;
  /** Tenant whose events alone the client may see; null for the operator. */
  readonly scope: string | null;
  /** Key under which streams are counted for the limit: the tenant, or the operator's API key. */
  readonly owner: string;
  /** Signal that aborts when the connection closes. */
  readonly signal: AbortSignal;
  /** Whether the client's API key is still valid. */
  isAdmitted(): Promise<boolean>;
  /** Closes the connection at once and drops unsent data. */
  cut(): void;
}

export interface StreamedEvents {
  readonly source: EventSource;
  /** Position after which events are sent. With null, the stream has only events that are recorded after its start. */
  readonly after: string | null;
}

interface EventStreamsOptions {
  /** Database with access to all tenants, used only to find out which streams new events concern. */
  readonly db: Database;
  readonly limits: StreamLimits;
  readonly heartbeatMs: number;
  readonly logger: Pick<Logger, 'warn'>;
}

/**
 * Creates the streams of events of this process. A stream reads a page only after the client has taken the previous
 * one, so a slow client keeps at most one page in memory. The server closes connections that stay idle.
 */
export interface EventStreams {
  /**
   * Opens a stream.
   * @returns the text to send, in pieces
   * @throws AppError 404, 400 `invalid_cursor`, 410 `position_expired`, 429 `too_many_streams`
   */
  open(reader: StreamReader, events: StreamedEvents): Promise<AsyncGenerator<string, void>>;
  /** Ends all streams. Their clients reconnect, perhaps to another process, with the last position that they have. */
  close(): void;
}

export function createEventStreams({ db, limits, heartbeatMs, logger }: EventStreamsOptions): EventStreams {
  const watch = createEventWatch({
    subjectsAfter: (position) => subjectsAfter(db, position, WATCHED),
    heartbeatMs,
    logger,
  });
  const pages = createSharedPages();
  const slots = createStreamSlots(limits);
  const open = new Set<StreamReader>();

  function enter(reader: StreamReader): void {
    const giveBack = slots.take(reader.owner);
    open.add(reader);
    const leave = (): void => {
      open.delete(reader);
      giveBack();
    };
    if (reader.signal.aborted) leave();
    else reader.signal.addEventListener('abort', leave, { once: true });
  }

  /**
   * Reads a page for a stream, and retries while the database is unreachable and the stream is open.
   * @returns null if the stream has to end
   */
  async function tryToRead(reader: StreamReader, read: () => Promise<FramedPage>): Promise<FramedPage | null> {
    while (!reader.signal.aborted) {
      try {
        const page = await read();
        return page.text === '' || (await reader.isAdmitted()) ? page : null;
      } catch (error) {
        // The next events were pruned. A client that reconnects gets this error.
        if (error instanceof AppError) return null;
        logger.warn({ err: error }, 'events of a stream could not be read: trying again');
        await sleep(RETRY_READING_MS, undefined, { signal: reader.signal }).catch(() => undefined);
      }
    }
    return null;
  }

  return {
    async open(reader, { source, after }) {
      enter(reader);
      const events = createEventService(reader);
      const filter = await events.filterFor(source, reader.scope);
      const interest: EventInterest = { ...filter, tenantId: reader.scope };
      const read = (from: CommitPosition): Promise<FramedPage> =>
        pages.read(interestKey(interest), from, (position) => events.read(position, filter, reader.scope));
      const start = after === null ? await events.now() : parsePosition(after);
      const first = after === null ? nothingUpTo(start) : await read(start);

      async function* frames(): AsyncGenerator<string, void> {
        yield openingFrame(start);
        let page: FramedPage | null = first;
        while (page !== null) {
          if (page.text !== '') yield page.text;
          const { end, isLast }: FramedPage = page;
          const wake = isLast
            ? await watch.next(interest, end, reader.signal)
            : ({ reason: 'events', position: end } as const);
          if (wake === null) return;
          const { reason, position } = wake;
          if (reason === 'heartbeat') {
            if (!(await reader.isAdmitted().catch(() => true))) return;
            yield heartbeatFrame(position);
            page = nothingUpTo(position);
          } else page = await tryToRead(reader, () => read(position));
        }
      }
      return frames();
    },

    close() {
      watch.close();
      setTimeout(() => open.forEach((reader) => reader.cut()), END_MS).unref();
    },
  };
}

function nothingUpTo(end: CommitPosition): FramedPage {
  return { text: '', end, isLast: true };
}
