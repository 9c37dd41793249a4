import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDataset, type ReadaptClient } from '../../openapi/clients/typescript/src/index.ts';
import { HASTY, honestTenant, standStill } from './support/crowd.ts';
import { exchange, openSocket } from './support/raw-exchange.ts';
import { startAttackedService, type AttackedService } from './support/service.ts';

let service: AttackedService;
let honest: ReadaptClient;
let dataset: string;
beforeAll(async () => {
  service = await startAttackedService(HASTY);
  honest = await honestTenant(service);
  const { id } = await createDataset({ client: service.tenant, query: { name: 'large' }, body: new Blob([LARGE]) });
  dataset = id;
});
afterAll(() => service?.stop());

/** 24 MB of data, more than a connection's buffers hold. */
const LARGE = Array.from({ length: 30 }, (_, index) =>
  JSON.stringify({ prompt: `${index}${'p'.repeat(800_000)}`, completion: 'c', split: index % 2 ? 'search' : 'gate' }),
).join('\n');

const get = (path: string, ...lines: string[]) =>
  [`GET ${path} HTTP/1.1`, 'host: a', `authorization: Bearer ${service.tenantKey}`, ...lines, '', ''].join('\r\n');
const exported = (...lines: string[]) => get(`/v1/tenants/${service.tenantId}/export`, ...lines);

test('100 clients that do not read an export of 24 MB take the service no memory, and are cut off', async () => {
  const name = '100 unread exports';
  expect(await standStill(service, honest, { name, connections: 100, sent: () => exported() })).toBe(100);
});

test('who reads an export gets all of it', async () => {
  const socket = await openSocket(service.origin);
  socket.write(exported('connection: close'));
  let [bytes, tail] = [0, ''];
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    tail = `${tail}${chunk.toString('latin1')}`.slice(-2_000);
  }
  expect(bytes).toBeGreaterThan(24_000_000);
  expect(tail.endsWith('0\r\n\r\n'), 'the end of the last chunk').toBe(true);
});

test.each<[string, number, () => string]>([
  [
    '2,000 descriptions of the API on a connection',
    1,
    () => 'GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(2_000),
  ],
  ['60 descriptions of the API on each of 30', 30, () => 'GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(60)],
  ['2,000 bad paths on each of 10', 10, () => 'GET /% HTTP/1.1\r\n\r\n'.repeat(2_000)],
  ['2,000 datasets on each of 50', 50, () => get(`/v1/datasets/${dataset}`).repeat(2_000)],
])('who asks at once for %s and reads nothing takes the service no memory', async (name, connections, sent) => {
  await standStill(service, honest, { name, connections, sent });
});

test('who sends ten requests ahead gets ten answers in their order', async () => {
  const paths = Array.from({ length: 9 }, (_, index) => (index % 2 ? '/healthz' : `/v1/nothing-${index}`));
  const answers = await exchange(
    service.origin,
    [...paths.map((path) => get(path)), get('/readyz', 'connection: close')].join(''),
  );
  expect(answers.map(({ status }) => status)).toEqual([...paths.map((path) => (path === '/healthz' ? 200 : 404)), 200]);
});
