import type { IncomingMessage, ServerResponse } from 'node:http';
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
export function answerInTurn(app: FastifyInstance): void {
  const lines = new WeakMap<Socket, Line>();
  const turns = new WeakMap<IncomingMessage, Promise<void>>();
  app.server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const line = lines.get(socket) ?? { unanswered: 0, end: Promise.resolve() };
    lines.set(socket, line);
    turns.set(request, line.end);
    line.unanswered += 1;
    line.end = new Promise((resolve) =>
      response.once('close', () => {
        line.unanswered -= 1;
        resolve();
      }),
    );
    if (line.unanswered > MOST_UNANSWERED) socket.destroy();
  });
  app.addHook('onRequest', async ({ raw }, reply) => {
    await turns.get(raw);
    // Nobody is there to read the answer.
    if (raw.socket.destroyed) reply.hijack();
  });
}
