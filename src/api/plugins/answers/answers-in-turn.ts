import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/**
 * Largest number of unanswered requests on one connection. Clients that send several requests without waiting for
 * answers keep to about ten.
 */
const MOST_UNANSWERED = 32;
/**
 * Longest time in one round of the event loop that is spent on starting requests, in milliseconds. The rest of the
 * round is for reading and writing sockets.
 */
const SLICE_MS = 4;
/** Largest number of requests that are started in one round of the event loop. */
const MOST_IN_SLICE = 64;
/**
 * Longest time that requests wait while new connections keep arriving, in milliseconds. Node accepts one connection in
 * each round of the event loop.
 */
const ACCEPTING_MS = 50;
/** Path of the liveness probe, which skips the queue: it must be answered under load, and costs almost nothing. */
const AHEAD_OF_OTHERS = '/healthz';

interface Line {
  unanswered: number;
  /**
   * Promise that resolves when the last queued request of the connection is answered and its answer was handed to the
   * network.
   */
  end: Promise<void>;
}

/**
 * Starts a request only after the previous one on the same connection is answered, and closes connections with too many
 * waiting requests. Node by itself starts all requests that arrive in one piece, more than a thousand, and buffers
 * their answers if the client does not read; the answers on a connection go out in order anyway. If many connections
 * arrive together, all of them are accepted before the first request starts. Each round of the event loop starts only a
 * few milliseconds' worth of requests, and `/healthz` does not wait for them.
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
      // Closing the request first avoids an error, which closing the socket would create, with a stack trace.
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
      // A destroyed socket has no reader for the answer.
      if (!socket.destroyed) handle(request, response);
    };
    const start = request.url === AHEAD_OF_OTHERS ? answer : () => begin(answer);
    if (before === null) return start();
    void before.then(start);
  });
}

/**
 * Node's HTTP parser of a connection. It calls `onIncoming` for each request whose head it has parsed. If `onIncoming`
 * returns 2, the parser stops, as it does before a protocol upgrade.
 */
interface Parser {
  onIncoming: ((request: IncomingMessage, shouldKeepAlive: boolean) => number) | null;
}
const STOP = 2;

/**
 * Makes Node discard unparsed input of a closed connection. Node reads 64 KiB at once, which may hold a thousand
 * requests, and would create a request and an answer for each. The parser is not a documented interface of Node: if a
 * later Node lacks it, closing a connection takes longer, and the test of closed connections fails.
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
 * Runs tasks in order, for up to `SLICE_MS` in each round of the event loop. Each task has an immediate of its own, so
 * that its promise callbacks, which are most of a request, run before the next task begins.
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
    // Immediates set here run in the next round, after its sockets.
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
