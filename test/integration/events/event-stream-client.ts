import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Event } from '../../../src/delivery/events/event.schemas.ts';
import { bearer } from '../support/index.ts';

/** Block of an event stream, parsed by the standard of server-sent events. */
export interface Block {
  /** Last `id` received so far. */
  readonly id: string | null;
  readonly event: string | null;
  readonly data: Event | null;
  readonly comment: string | null;
  readonly retry: string | null;
}

export interface StreamClient {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Reads the next block that has data. */
  nextEvent(): Promise<Event>;
  /** Reads the next block of any kind; null at the end of the stream. */
  nextBlock(): Promise<Block | null>;
  /** Reads the answer as text, if it is not a stream. */
  text(): Promise<string>;
  /** Value that a client would send as `Last-Event-ID`. */
  lastEventId(): string | null;
  /** Resolves when the service has closed the connection, whether or not the client reads. */
  closed(): Promise<void>;
  cut(): void;
}

interface StreamRequest {
  readonly key: string;
  readonly lastEventId?: string | null;
}

/** Opens a stream like a client that connects for the first time or reconnects. */
export async function openStream(
  app: FastifyInstance,
  path: string,
  { key, lastEventId = null }: StreamRequest,
): Promise<StreamClient> {
  if (app.server.address() === null) await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  const headers = { ...bearer(key), ...(lastEventId === null ? {} : { 'last-event-id': lastEventId }) };
  const closed = once(app.server, 'connection').then(async ([socket]) => {
    // once() would fail if the client resets the connection, which also closes it.
    if (!(socket as Socket).destroyed) await new Promise((resolve) => (socket as Socket).once('close', resolve));
  });
  const request = get({ port, host: '127.0.0.1', path, headers, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  const position = { id: lastEventId };
  const blocks = readBlocks(response, position);
  const nextBlock = async (): Promise<Block | null> => {
    const next = await blocks.next();
    return next.done === true ? null : next.value;
  };
  return {
    status: response.statusCode!,
    headers: response.headers,
    nextBlock,
    async nextEvent() {
      for (;;) {
        const block = await nextBlock();
        if (block === null) throw new Error('the stream has ended');
        if (block.data !== null) return block.data;
      }
    },
    async text() {
      let text = '';
      for await (const chunk of response) text += String(chunk);
      return text;
    },
    lastEventId: () => position.id,
    closed: () => closed,
    cut: () => response.destroy(),
  };
}

async function* readBlocks(response: IncomingMessage, position: { id: string | null }): AsyncGenerator<Block, void> {
  let text = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      text += String(chunk);
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const block = parseBlock(text.slice(0, end));
        text = text.slice(end + 2);
        position.id = block.id ?? position.id;
        yield block;
      }
    }
  } catch (error) {
    // A block cut in the middle does not count.
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
  }
}

function parseBlock(text: string): Block {
  const fields = new Map(
    text.split('\n').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')] as const;
    }),
  );
  const data = fields.get('data');
  return {
    id: fields.get('id') ?? null,
    event: fields.get('event') ?? null,
    data: data === undefined ? null : (JSON.parse(data) as Event),
    comment: fields.get('') ?? null,
    retry: fields.get('retry') ?? null,
  };
}
