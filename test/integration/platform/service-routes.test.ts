import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { renderOpenApi } from '../../../src/api/openapi.ts';
import { clockAhead, createTestApp, type TestApp } from '../support/index.ts';

let service: TestApp;
beforeAll(async () => {
  service = await createTestApp();
});
afterAll(() => service.close());

test('/healthz needs no key', async () => {
  const answer = await service.request({ url: '/healthz', key: null });
  expect([answer.statusCode, answer.json()]).toEqual([200, { status: 'ok' }]);
});

describe('/readyz', () => {
  test('is ready when database and queue answer', async () => {
    const answer = await service.request({ url: '/readyz', key: null });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({
      status: 'ready',
      checks: [
        { name: 'database', ok: true },
        { name: 'queue', ok: true },
      ],
    });
  });

  test.each([
    [39 * 3_600_000, /^the clock of this machine is 39\.0 h ahead of the database's, expected at most 3\.0 s/],
    [-60_000, /^the clock of this machine is (59|60)\.\d s behind the database's/],
  ])('warns of a clock that is %d ms ahead, and is ready', async (aheadMs, words) => {
    const clock = clockAhead(aheadMs);
    try {
      const answer = await service.request({ url: '/readyz', key: null });
      expect(answer.statusCode).toBe(200);
      expect(answer.json()).toMatchObject({ status: 'ready', warnings: [expect.stringMatching(words)] });
    } finally {
      clock.mockRestore();
    }
    expect((await service.request({ url: '/readyz', key: null })).json()).toMatchObject({ warnings: [] });
  });

  test('says which part is not usable, and not why', async () => {
    const check = async () => Promise.reject(new Error('password of the queue'));
    const broken = await createTestApp({ deps: { producer: { check } as never } });
    try {
      await broken.db.$disconnect();
      const answer = await broken.request({ url: '/readyz', key: null });
      expect(answer.statusCode).toBe(503);
      expect(answer.json()).toMatchObject({
        status: 'not_ready',
        checks: [{ name: 'database' }, { name: 'queue', ok: false }],
      });
      expect(answer.body).not.toContain('password');
    } finally {
      await broken.close();
    }
  });
});

test('/metrics counts requests by route, not by path', async () => {
  await service.request({ url: '/v1/base-models/absent' });
  const answer = await service.request({ url: '/metrics', key: null });
  expect(answer.headers['content-type']).toContain('text/plain');
  expect(answer.body).toContain(
    'readapt_http_request_duration_seconds_count{method="GET",route="/v1/base-models/:model",status="404"} 1',
  );
  expect(answer.body).not.toContain('absent');
});

test('/docs shows the API', async () => {
  const answer = await service.request({ url: '/docs/', key: null });
  expect(answer.statusCode).toBe(200);
  expect(answer.body).toContain('swagger-ui');
});

interface OpenApi {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { responses: Record<string, DocumentedResponse> };
}
interface DocumentedResponse {
  $ref?: string;
  content?: Record<string, unknown>;
  headers?: Record<string, unknown>;
}
interface Operation {
  operationId?: string;
  tags?: string[];
  summary?: string;
  security?: unknown[];
  responses: Record<string, DocumentedResponse>;
  parameters?: { name: string }[];
}

function problemOf(document: OpenApi, operation: Operation, status: number): boolean {
  const name = operation.responses[status]?.$ref?.replace('#/components/responses/', '') ?? '';
  return document.components.responses[name]?.content?.['application/problem+json'] !== undefined;
}

describe('/openapi.json', () => {
  test('documents every route with tag, security and problems', async () => {
    const document = (await service.request({ url: '/openapi.json', key: null })).json<OpenApi>();
    expect(document.openapi).toBe('3.1.0');
    const ids: string[] = [];
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        const where = `${method} ${path}`;
        expect(operation.operationId, where).toBeTruthy();
        expect(operation.tags, where).toHaveLength(1);
        expect(operation.summary, where).toBeTruthy();
        if (path.startsWith('/v1/')) {
          const last = method === 'get' ? 'operator:read' : 'operator';
          expect(operation.security?.at(-1), where).toEqual({ apiKey: [last] });
        } else expect(operation.security, where).toEqual([]);
        const expected = path.startsWith('/v1/') ? [400, 401, 403, 415, 429, 500, 503] : [415];
        if (path.includes('{')) expected.push(404, 414);
        if (method === 'post') expected.push(409, 422);
        for (const status of expected) expect(problemOf(document, operation, status), `${where} ${status}`).toBe(true);
        const headers = operation.parameters?.map(({ name }) => name);
        if (method === 'post') expect(headers, where).toContain('idempotency-key');
        if (path.endsWith('/stream')) {
          expect(headers, where).toContain('last-event-id');
          expect(operation.responses, where).not.toHaveProperty('304');
        } else if (path.startsWith('/v1/') && method === 'get') {
          expect(headers, where).toContain('if-none-match');
          expect(operation.responses['200']?.headers, where).toHaveProperty('etag');
          expect(operation.responses, where).toHaveProperty('304');
        }
        const extensions = Object.keys(operation).filter((name) => name.startsWith('x-'));
        expect(['x-pagination', 'x-polling'], where).toEqual(expect.arrayContaining(extensions));
        ids.push(operation.operationId ?? '');
      }
    }
    expect(new Set(ids).size).toBe(ids.length);
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(['/v1/tenants', '/v1/base-models/{model}/versions', '/v1/api-keys/{id}']),
    );
  });

  test('declares what is sent to webhook endpoints, with the schema of events', async () => {
    const { webhooks, components } = (await service.request({ url: '/openapi.json', key: null })).json();
    const { requestBody, parameters } = webhooks.event.post;
    expect(requestBody.content['application/json'].schema).toEqual({ $ref: '#/components/schemas/WebhookMessage' });
    expect(components.schemas.WebhookMessage.properties.data).toEqual({ $ref: '#/components/schemas/Event' });
    expect(components.schemas.Event).toBeDefined();
    expect((parameters as { name: string }[]).map(({ name }) => name)).toEqual([
      'webhook-id',
      'webhook-timestamp',
      'webhook-signature',
    ]);
  });

  test('names what is sent and answered, for client generators', async () => {
    const document = (await service.request({ url: '/openapi.json', key: null })).json();
    const get = document.paths['/v1/rollouts/{id}'].get.responses['200'].content['application/json'].schema;
    expect(get).toEqual({ $ref: '#/components/schemas/Rollout' });
    const list = document.paths['/v1/jobs'].get.responses['200'].content['application/json'].schema;
    expect(list).toEqual({ $ref: '#/components/schemas/JobPage' });
    expect(document.components.schemas.JobPage.properties.data.items).toEqual({ $ref: '#/components/schemas/Job' });
    const text = JSON.stringify(document);
    for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      expect(document.components.schemas, name).toHaveProperty(name);
    }
    expect(text.match(/\{"enum"/g), 'every enumeration has a type').toBeNull();
  });

  test('is what is rendered without a database, twice the same', async () => {
    const [first, second] = [await renderOpenApi(), await renderOpenApi()];
    expect(first).toBe(second);
    expect(JSON.parse(first)).toEqual((await service.request({ url: '/openapi.json', key: null })).json());
  });
});

test('every answer carries the identifier that the log has', async () => {
  const answer = await service.request({ url: '/healthz', key: null });
  expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
});
