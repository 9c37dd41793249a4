import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setImmediate as nextRound } from 'node:timers/promises';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, expect, test } from 'vitest';
import { answerInTurn } from '../../../src/api/plugins/answers/answers-in-turn.ts';

const CROWD = 100;
const WORK_MS = 2;

let app: FastifyInstance;
let sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await app.close();
});

/**
 * Service that blocks the event loop for 2 ms per request, except for `/healthz`, and records the order in which it
 * starts them. Like the real one, it does little immediately and the rest after a promise.
 */
async function busyService(): Promise<string[]> {
  const begun: string[] = [];
  app = Fastify();
  answerInTurn(app);
  app.get('/*', async (request, reply) => {
    await Promise.resolve();
    begun.push(request.url);
    const end = performance.now() + (request.url === '/healthz' ? 0 : WORK_MS);
    while (performance.now() < end) continue;
    return reply.send(request.url);
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  return begun;
}

async function connected(count: number): Promise<Socket[]> {
  const { port } = app.server.address() as AddressInfo;
  const opened = Array.from({ length: count }, () => connect(port, '127.0.0.1'));
  sockets.push(...opened);
  const accepted = new Promise<void>((resolve) => {
    let left = count;
    app.server.on('connection', () => --left === 0 && resolve());
  });
  await Promise.all([accepted, ...opened.map((socket) => once(socket, 'connect'))]);
  return opened;
}

const get = (url: string) => `GET ${url} HTTP/1.1\r\nhost: a\r\n\r\n`;

/** Answers received once there are `count` of them with a body. */
async function answersOn(socket: Socket, count: number): Promise<string[]> {
  let text = '';
  while ([...text.matchAll(/\r\n\r\n\/\S+?(?=HTTP|$)/g)].length < count)
    text += String((await once(socket, 'data'))[0]);
  return [...text.matchAll(/\r\n\r\n(\/\S+?)(?=HTTP|$)/g)].map(([, body]) => body!);
}

test('/healthz does not wait for a crowd whose requests have arrived before it', async () => {
  const begun = await busyService();
  const [poller, ...crowd] = await connected(1 + CROWD);
  crowd.forEach((socket, index) => socket.write(get(`/${index}`)));
  poller!.write(get('/healthz'));
  await answersOn(poller!, 1);
  expect(begun.indexOf('/healthz'), 'requests of the crowd that were begun before').toBeLessThan(CROWD / 4);
  await Promise.all(crowd.map((socket) => answersOn(socket, 1)));
  const paths = crowd.map((_, index) => `/${index}`);
  expect(begun.filter((path) => path !== '/healthz')).toEqual(paths);
});

test('few requests of a crowd are worked on in one round of the event loop', async () => {
  const begun = await busyService();
  const crowd = await connected(CROWD);
  crowd.forEach((socket, index) => socket.write(get(`/${index}`)));
  let [before, most] = [0, 0];
  while (begun.length < CROWD) {
    await nextRound();
    most = Math.max(most, begun.length - before);
    before = begun.length;
  }
  expect(most, 'requests of 2 ms each').toBeLessThan(10);
});

test('requests that were sent ahead on a connection are answered in their order, /healthz among them', async () => {
  const begun = await busyService();
  const [socket] = await connected(1);
  const paths = ['/a', '/healthz', '/b', '/healthz', '/c'];
  socket!.write(paths.map(get).join(''));
  expect(await answersOn(socket!, paths.length)).toEqual(paths);
  expect(begun).toEqual(paths);
});

test('a connection on which more than 32 requests wait is closed, and others are answered', async () => {
  const begun = await busyService();
  const [greedy, honest] = await connected(2);
  greedy!.on('error', () => undefined);
  greedy!.write(get('/greedy').repeat(1_000));
  await once(greedy!.resume(), 'close');
  honest!.write(get('/honest'));
  expect(await answersOn(honest!, 1)).toEqual(['/honest']);
  expect(begun.filter((path) => path === '/greedy').length).toBeLessThanOrEqual(32);
});

test('what has arrived on a connection that was closed is not read', async () => {
  await busyService();
  const [greedy] = await connected(1);
  let heads = 0;
  app.server.on('request', () => heads++);
  // A thousand of these fit into a single read of Node.
  const closed = new Promise((resolve) => greedy!.on('error', () => undefined).once('close', resolve));
  greedy!.write(get('/greedy').repeat(5_000));
  greedy!.resume();
  await closed;
  expect(heads).toBe(33);
});
