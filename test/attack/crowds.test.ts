import { readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectProblem, underAttack } from './support/attack.ts';
import { openSocket } from './support/raw-exchange.ts';
import { startAttackedService, type AttackedService } from './support/service.ts';

const IDLE_MS = 4_000;

let service: AttackedService;
beforeAll(async () => {
  service = await startAttackedService({ READAPT_IDLE_TIMEOUT_MS: String(IDLE_MS) });
});
afterAll(() => service?.stop());

const NDJSON = 'application/x-ndjson';
const ROWS = ['training', 'search', 'gate']
  .map((split) => `${JSON.stringify({ prompt: 'p', completion: 'c', split })}\n`)
  .join('');

/** Number of connections and the like that a process has open. */
async function socketsOf(pid: number): Promise<number> {
  const folder = `/proc/${pid}/fd`;
  const links = (await readdir(folder)).map((name) => readlink(path.join(folder, name)).catch(() => ''));
  return (await Promise.all(links)).filter((link) => link.startsWith('socket:')).length;
}

/**
 * Opens connections that each send something and then neither send nor read any more, does something beside them, and waits
 * until the service has closed all of them.
 */
async function beside<T>(count: number, sent: (index: number) => string, work: () => Promise<T>): Promise<T> {
  const before = await socketsOf(service.pid);
  const sockets = await Promise.all(Array.from({ length: count }, () => openSocket(service.origin)));
  try {
    sockets.forEach((socket, index) => socket.pause().write(sent(index)));
    const result = await work();
    const left = async () => (await socketsOf(service.pid)) - before;
    await expect.poll(left, { timeout: 20 * IDLE_MS }).toBeLessThan(count / 10);
    return result;
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

const upload = (index: number) =>
  [
    `POST /v1/datasets?name=stalled-${index} HTTP/1.1`,
    'host: a',
    `authorization: Bearer ${service.tenantKey}`,
    `content-type: ${NDJSON}`,
    'content-length: 100000',
    '',
    ROWS,
  ].join('\r\n');

/** What an honest tenant does meanwhile. @returns the time that it took in milliseconds */
async function honestWork(name: string): Promise<number> {
  const started = performance.now();
  await service.tenant.upload(`/v1/datasets?name=${name}`, Buffer.from(ROWS), NDJSON);
  const { data } = await service.tenant.get<{ data: { name: string }[] }>('/v1/datasets?limit=100');
  expect(data.map((dataset) => dataset.name)).toContain(name);
  return performance.now() - started;
}

const honestly = (ms: number) => [`honest work ${Math.round(ms)} ms`];

describe('300 clients that stand still keep nobody from working, and are cut off:', () => {
  test.each<[string, (index: number) => string]>([
    ['in the middle of an upload', upload],
    ['in the middle of a head', (index) => upload(index).slice(0, 40)],
    ['before they have said anything', () => ''],
  ])('%s', async (name, begin) => {
    const took = await underAttack(
      service,
      `300 clients that stand still ${name}`,
      () => beside(300, begin, () => honestWork(`beside-${name.replaceAll(' ', '-')}`)),
      honestly,
    );
    expect(took, 'less than it takes to cut them off').toBeLessThan(IDLE_MS);
    const { usage } = await service.tenant.get<{ usage: { dataset_rows: number } }>(
      `/v1/tenants/${service.tenantId}/quotas`,
    );
    expect(usage.dataset_rows % 3, 'rows of whole datasets').toBe(0);
  });
});

test('1,000 unknown keys are refused, and known ones are not', async () => {
  const guess = async (index: number) => {
    const id = index.toString(16).padStart(12, '0');
    const authorization = `Bearer rdp_${id}_${'x'.repeat(43)}`;
    const response = await fetch(`${service.origin}/v1/jobs`, { headers: { authorization } });
    const contentType = response.headers.get('content-type')!;
    return { status: response.status, contentType, body: (await response.json()) as Record<string, unknown> };
  };
  const guessOn = async (first: number, count: number) => {
    const answers: Awaited<ReturnType<typeof guess>>[] = [];
    for (let index = first; index < first + count; index += 1) answers.push(await guess(index));
    return answers;
  };
  const { answers } = await underAttack(
    service,
    '1,000 unknown keys',
    async () => {
      const guessing = Promise.all(Array.from({ length: 50 }, (_, index) => guessOn(index * 20, 20)));
      const took = await honestWork('beside-guesses');
      return { took, answers: (await guessing).flat() };
    },
    ({ took }) => honestly(took),
  );
  answers.forEach(expectProblem);
  const statuses = answers.map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([401, 429]));
  expect(statuses.filter((status) => status === 401)).toHaveLength(300);
});

describe('clients that do not read what they have asked for', () => {
  /** About 24 MB, which no buffer of a connection holds. */
  beforeAll(async () => {
    const row = (index: number) =>
      JSON.stringify({
        prompt: `${index}${'p'.repeat(800_000)}`,
        completion: 'c',
        split: index % 2 ? 'search' : 'gate',
      });
    const rows = Array.from({ length: 30 }, (_, index) => row(index)).join('\n');
    await service.tenant.upload('/v1/datasets?name=large', Buffer.from(rows), NDJSON);
  });

  const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${service.tenantKey}\r\n\r\n`;

  test.each<[string, () => string]>([
    ['100 exports of 24 MB', () => get(`/v1/tenants/${service.tenantId}/export`)],
    ['100 times 200 API descriptions on one connection', () => get('/openapi.json').repeat(200)],
  ])('%s', async (name, request) => {
    await underAttack(
      service,
      `unread: ${name}`,
      () => beside(100, request, () => honestWork(`beside-${request().length}`)),
      honestly,
    );
  });

  test('who reads slowly gets all of it', async () => {
    const response = await fetch(`${service.origin}/v1/tenants/${service.tenantId}/export`, {
      headers: { authorization: `Bearer ${service.tenantKey}` },
    });
    expect(response.status).toBe(200);
    expect(await text(response.body as never)).toContain('tenant.json');
  });
});

test('300 Idempotency-Keys for requests that fail are all free again', async () => {
  const keys = Array.from({ length: 300 }, (_, index) => `many-${index}`);
  const send = async (key: string, body: string) => {
    const headers = {
      authorization: `Bearer ${service.tenantKey}`,
      'content-type': NDJSON,
      'idempotency-key': key,
    };
    const response = await fetch(`${service.origin}/v1/datasets?name=${key}`, { method: 'POST', headers, body });
    const contentType = response.headers.get('content-type')!;
    return { status: response.status, contentType, body: (await response.json()) as Record<string, unknown> };
  };
  const answers = await underAttack(
    service,
    '300 Idempotency-Keys for requests that fail',
    () => Promise.all(keys.map((key) => send(key, '{}\n'))),
    (found) => [[...new Set(found.map(({ status }) => status))].join(', ')],
  );
  answers.forEach(expectProblem);
  // A key that still belonged to the first body would be answered 409 or 422.
  expect(await send(keys[0]!, ROWS)).toMatchObject({ status: 201 });
});
