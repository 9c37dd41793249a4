import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  createClient,
  downloadAdapterVersion,
  followEvents,
  getJob,
  waitForJob,
  WaitTimeoutError,
  type ReadaptClient,
} from '../../../openapi/clients/typescript/src/index.ts';
import { uploadDataset } from '../../../openapi/clients/typescript/src/node/index.ts';
import { collectGarbage } from '../../garbage.ts';

/** Deadline in milliseconds, long enough for a request to arrive first even if the machine stalls. */
const DEADLINE_MS = 3000;

let server: Server;
let client: ReadaptClient;
/**
 * Resolves when the service has received a request. It leaves the request unanswered or its answer endless, so only the
 * request's signal can end it.
 */
let asked: Promise<[IncomingMessage, ServerResponse]>;

beforeAll(async () => {
  server = createServer((request, response) => {
    if (!/download|stream/.test(request.url!)) return;
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    response.write('id: 5-0\n\n');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  client = createClient({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, apiKey: 'rdp_test' });
});
beforeEach(() => {
  asked = once(server, 'request') as typeof asked;
});
afterEach(() => server.closeAllConnections());
afterAll(() => server.close());

/**
 * Waits until the service has the request, then collects all garbage. In Node 20 this could wrongly include the signal
 * of a running request and the deadlines that a signal is combined from.
 */
async function underWay(): Promise<{ closed: Promise<unknown> }> {
  const [request] = await asked;
  // An upload cut in the middle is also a parse error for the server, which closes the connection afterwards.
  const closed = new Promise<void>((resolve) => request.socket.once('close', () => resolve()));
  for (let turn = 0; turn < 4; turn++) {
    collectGarbage();
    await nextTurn();
  }
  return { closed };
}

const failure = (work: Promise<unknown>): Promise<unknown> => work.then(() => 'it went well').catch((error) => error);

test('a signal ends a stream of events and its connection', async () => {
  const stop = new AbortController();
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const next = failure(followEvents({ client, signal: stop.signal, onConnection: open }).next());
  await opened;
  const { closed } = await underWay();
  stop.abort('enough');
  expect(await next).toBe('enough');
  await closed;
});

test('a signal ends a request that is not answered', async () => {
  const stop = new AbortController();
  const job = failure(getJob({ client, path: { id: 'job_1' }, signal: stop.signal }));
  const { closed } = await underWay();
  stop.abort('enough');
  expect(await job).toBe('enough');
  await closed;
});

test('a signal ends a download', async () => {
  const stop = new AbortController();
  const path = { id: 'adp_1', version_id: 'adv_1' };
  const body = (await downloadAdapterVersion({ client, path, parseAs: 'stream', signal: stop.signal })) as unknown;
  const read = failure(new Response(body as ReadableStream).text());
  const { closed } = await underWay();
  stop.abort('enough');
  expect(await read).toBe('enough');
  await closed;
});

test('a deadline that nothing else holds ends an upload, and its time a wait, without an answer', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-upload-'));
  const file = path.join(folder, 'rows.jsonl');
  await writeFile(file, '{"prompt":"a","completion":"b"}\n');
  const upload = failure(uploadDataset({ client, name: 'rows', file, signal: AbortSignal.timeout(DEADLINE_MS) }));
  const uploading = await underWay();
  asked = once(server, 'request') as typeof asked;
  const waiting = failure(waitForJob({ client, id: 'job_1', timeoutMs: DEADLINE_MS, transport: 'poll' }));
  const polling = await underWay();
  expect(await upload).toMatchObject({ name: 'TimeoutError' });
  expect(await waiting).toBeInstanceOf(WaitTimeoutError);
  await Promise.all([uploading.closed, polling.closed]);
  await rm(folder, { recursive: true });
});
