import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Most requests on one connection that are not answered yet. Clients that send ahead keep to ten or so. */
const MOST_UNANSWERED = 64;

interface Line {
  unanswered: number;
  /** Resolves when the last request in the line has been answered, and the answer was handed to the network. */
  end: Promise<void>;
}

/**
 * Begins a request when the one before it on the same connection has been answered, and closes connections on which too many wait.
 * Node begins all that have arrived in one piece, more than a thousand, and keeps their answers in memory if the client does not
 * read. Answers on a connection go out in order anyway.
 */
export function answerInTurn({ server }: Pick<FastifyInstance, 'server'>): void {
  const lines = new WeakMap<Socket, Line>();
  const [handle] = server.listeners('request') as RequestListener[];
  if (handle === undefined) throw new Error('the server has no listener for requests, expected that of Fastify');
  server.removeListener('request', handle);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const line = lines.get(socket) ?? { unanswered: 0, end: Promise.resolve() };
    lines.set(socket, line);
    const before = line.unanswered === 0 ? null : line.end;
    line.unanswered += 1;
    if (line.unanswered > MOST_UNANSWERED) return void socket.destroy();
    line.end = new Promise((resolve) =>
      response.once('close', () => {
        line.unanswered -= 1;
        resolve();
      }),
    );
    if (before === null) return handle(request, response);
    void before.then(() => {
      // Otherwise nobody is there to read the answer.
      if (!socket.destroyed) handle(request, response);
    });
  });
}
