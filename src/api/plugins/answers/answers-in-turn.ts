import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Most requests on one connection that are not answered yet. Clients that send ahead keep to ten or so. */
const MOST_UNANSWERED = 32;
/** How long requests are begun in one round of the event loop before it turns to its sockets again. */
const SLICE_MS = 4;
/** Most requests that are begun in one round. */
const MOST_IN_SLICE = 64;
/** How long requests wait at most for connections that go on arriving. Node accepts one in each round of the event loop. */
const ACCEPTING_MS = 50;
/** Says whether the process is alive, which has to be known while a crowd waits, and costs nothing to say. */
const AHEAD_OF_OTHERS = '/healthz';

interface Line {
  unanswered: number;
  /** Resolves when the last request in the line has been answered, and the answer was handed to the network. */
  end: Promise<void>;
}

/**
 * Begins a request when the one before it on the same connection has been answered, and closes connections on which too many wait.
 * Node begins all that have arrived in one piece, more than a thousand, and keeps their answers in memory if the client does not
 * read. Answers on a connection go out in order anyway. Of many connections that arrive together, all are accepted before the first
 * request is begun, a few milliseconds' worth of requests are begun at a time, and `/healthz` does not wait for them.
 */
export function answerInTurn({ server }: Pick<FastifyInstance, 'server'>): void {
  const lines = new WeakMap<Socket, Line>();
  const [handle] = server.listeners('request') as RequestListener[];
  if (handle === undefined) throw new Error('the server has no listener for requests, expected that of Fastify');
  const begin = inSlices(server);
  server.on('connection', ignoreAfterClose);
  server.removeListener('request', handle);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const line = lines.get(socket) ?? { unanswered: 0, end: Promise.resolve() };
    lines.set(socket, line);
    const before = line.unanswered === 0 ? null : line.end;
    line.unanswered += 1;
    if (line.unanswered > MOST_UNANSWERED) {
      // The request is closed first, without an error. Closing the socket would make one, with a stack.
      request.destroy();
      return void socket.destroy();
    }
    line.end = new Promise((resolve) =>
      response.once('close', () => {
        line.unanswered -= 1;
        resolve();
      }),
    );
    const answer = () => {
      // Otherwise nobody is there to read the answer.
      if (!socket.destroyed) handle(request, response);
    };
    const start = request.url === AHEAD_OF_OTHERS ? answer : () => begin(answer);
    if (before === null) return start();
    void before.then(start);
  });
}

/** What Node tells of each head that it has read, and whether its parser goes on: 2 stops it, as before an upgrade. */
interface Parser {
  onIncoming: ((request: IncomingMessage, shouldKeepAlive: boolean) => number) | null;
}
const STOP = 2;

/**
 * Makes Node leave what has arrived on a connection and was not read before it was closed. Node reads 64 KiB at once, with a thousand
 * requests in them, and would make a request and its answer of each. The parser is not part of Node's documented interface: where a
 * later Node has none, closing a connection takes longer, and the test of closed connections fails.
 */
function ignoreAfterClose(socket: Socket & { readonly parser?: Parser | null }): void {
  const { parser } = socket;
  const read = parser?.onIncoming;
  if (!parser || !read) return;
  parser.onIncoming = (request, shouldKeepAlive) => {
    const next = read(request, shouldKeepAlive);
    return socket.destroyed ? STOP : next;
  };
}

/**
 * Runs what it is given in the order in which it is given, for `SLICE_MS` in each round of the event loop. Each has an immediate of its
 * own, so that what it goes on with by promises, which is the greater part of a request, has run before the next one is begun.
 */
function inSlices(server: FastifyInstance['server']): (task: () => void) => void {
  const waiting: (() => void)[] = [];
  let hasAccepted = false;
  let acceptingUntil = Infinity;
  let isScheduled = false;
  let sliceEnd: number | null = null;
  server.on('connection', () => (hasAccepted = true));
  const isAccepting = (now: number): boolean => {
    if (!hasAccepted) return false;
    hasAccepted = false;
    if (acceptingUntil === Infinity) acceptingUntil = now + ACCEPTING_MS;
    return now < acceptingUntil;
  };
  const runOne = () => {
    const now = performance.now();
    sliceEnd ??= now + SLICE_MS;
    if (now < sliceEnd) waiting.shift()?.();
  };
  const runSlice = () => {
    if (isAccepting(performance.now())) return void setImmediate(runSlice);
    acceptingUntil = Infinity;
    waiting.shift()?.();
    sliceEnd = null;
    isScheduled = waiting.length > 0;
    if (!isScheduled) return;
    // What is set here runs in the next round, after its sockets.
    for (let left = Math.min(waiting.length, MOST_IN_SLICE); left > 0; left--) setImmediate(runOne);
    setImmediate(runSlice);
  };
  return (task) => {
    waiting.push(task);
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(runSlice);
  };
}
