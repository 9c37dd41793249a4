import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROBLEM_CODES } from '../../../src/platform/contract/problem-codes.ts';
import { useProblems } from '../../../src/api/plugins/problems/problems.ts';
import { createTestApp, createTestKey, type TestApp } from '../support/index.ts';

let service: TestApp;
beforeAll(async () => {
  service = await createTestApp({ env: { READAPT_BODY_LIMIT_BYTES: '2048' } });
});
afterAll(() => service.close());

const json = { 'content-type': 'application/json' };

interface Case {
  name: string;
  url?: string;
  payload: string;
  headers?: Record<string, string>;
  status: number;
  code: string;
  field?: string;
}

const cases: Case[] = [
  {
    name: 'an unknown field',
    payload: '{"name":"a","color":"red"}',
    status: 400,
    code: 'invalid_request',
    field: 'color',
  },
  { name: 'a wrong type', payload: '{"name":5}', status: 400, code: 'invalid_request', field: 'name' },
  { name: 'a missing field', payload: '{}', status: 400, code: 'invalid_request', field: 'name' },
  { name: 'a value that does not fit', payload: '{"name":"-a"}', status: 400, code: 'invalid_request', field: 'name' },
  { name: 'a body that is no object', payload: '[1]', status: 400, code: 'invalid_request', field: 'body' },
  { name: 'malformed JSON', payload: '{"name":', status: 400, code: 'malformed_json' },
  { name: 'an empty body', payload: '', status: 400, code: 'malformed_json' },
  { name: 'a prototype in JSON', payload: '{"__proto__":{"name":"a"}}', status: 400, code: 'malformed_json' },
  {
    name: 'a body over the limit',
    payload: JSON.stringify({ name: 'a'.repeat(3000) }),
    status: 413,
    code: 'body_too_large',
  },
  {
    name: 'another media type',
    payload: 'name=a',
    headers: { 'content-type': 'text/csv' },
    status: 415,
    code: 'unsupported_media_type',
  },
  {
    name: 'an unknown field of a nested object',
    url: '/v1/base-models/m/versions',
    payload: '{"version":"1","path":"/x","rollout":{"color":1}}',
    status: 400,
    code: 'invalid_request',
    field: 'rollout.color',
  },
  {
    name: 'a wrong type in a nested object',
    url: '/v1/base-models/m/versions',
    payload: '{"version":"1","path":"/x","rollout":{"max_steps":"5"}}',
    status: 400,
    code: 'invalid_request',
    field: 'rollout.max_steps',
  },
];

test.each(cases)(
  '$name answers $status $code',
  async ({ url = '/v1/tenants', payload, headers = json, status, code, field }) => {
    const answer = await service.request({ method: 'POST', url, payload, headers });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    const problem = answer.json();
    expect(problem).toMatchObject({ status, code, instance: url, type: expect.stringContaining(code) });
    expect(problem.title.length).toBeGreaterThan(0);
    if (field !== undefined) {
      expect(problem.errors.map((error: { field: string }) => error.field)).toContain(field);
      expect(problem.detail).toContain(field);
    }
    expect(await service.db.tenant.count()).toBe(0);
  },
);

describe('the query and the path', () => {
  test.each([
    ['/v1/tenants?limit=0', 'limit'],
    ['/v1/tenants?limit=many', 'limit'],
    ['/v1/tenants?limit=0x10', 'limit'],
    ['/v1/tenants?limit=1e1', 'limit'],
    ['/v1/tenants?limit=%2010', 'limit'],
    ['/v1/tenants?limit=10.0', 'limit'],
    ['/v1/tenants?limit=true', 'limit'],
    ['/v1/tenants?limit=', 'limit'],
    ['/v1/tenants?color=red', 'color'],
    ['/v1/tenants/tenant-5', 'id'],
  ])('%s is refused', async (url, field) => {
    const answer = await service.request({ url });
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'invalid_request']);
    expect(answer.json().errors[0].field).toBe(field);
  });
});

describe('what is accepted', () => {
  test.each([
    ['/v1/jobs?kind=controls', 'must be one of: adaptation, control'],
    ['/v1/jobs?state=ready&state=done', 'must be one of: queued, held, paused, '],
  ])('%s says it', async (url, expected) => {
    const answer = await service.request({ url });
    expect(answer.json().detail).toContain(expected);
  });

  test('of a member that several variants have, all values', async () => {
    const gate = { kind: 'similar', margin: 0.1 };
    const payload = JSON.stringify({ name: 'a', base_model: 'm', dataset_id: 'd', metric: 'accuracies', gate });
    const { detail } = (await service.request({ method: 'POST', url: '/v1/adapters', payload, headers: json })).json();
    expect(detail).toContain('gate.kind must be one of: absolute, relative, non_inferiority');
    expect(detail).toContain('metric must be one of: accuracy, exact_match, rouge_l, token_f1, loss');
  });

  test.each([
    ['/v1/tenants', 'application/json'],
    ['/v1/datasets?name=a', 'application/x-ndjson or application/octet-stream'],
  ])('POST %s names the types of its body', async (url, expected) => {
    const headers = { 'content-type': 'text/csv' };
    const answer = await service.request({ method: 'POST', url, payload: 'a,b', headers });
    expect(answer.json()).toMatchObject({
      status: 415,
      detail: `the body has the content type text/csv, expected ${expected}`,
    });
  });

  test('`true` and `false` alone are values of a switch', async () => {
    const url = '/v1/workers/wrk_0199f3a0-1c52-7b44-9a3e-5d0c7f1e2a01/drain?stop=';
    const statuses = ['true', 'false', '1', 'TRUE'].map(
      async (value) => (await service.request({ method: 'POST', url: `${url}${value}` })).statusCode,
    );
    expect(await Promise.all(statuses)).toEqual([404, 404, 400, 400]);
  });
});

test('a route that does not exist is a problem too', async () => {
  const answer = await service.request({ url: '/v1/nothing?secret=1' });
  expect([answer.statusCode, answer.json().code]).toEqual([404, 'route_not_found']);
  expect(answer.body).not.toContain('secret');
});

test('what breaks inside says nothing internal', async () => {
  const broken = await createTestApp({ deps: { producer: { check: async () => undefined } as never } });
  try {
    await broken.db.$executeRaw`DROP TABLE tenants CASCADE`;
    const answer = await broken.request({ url: '/v1/tenants' });
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ code: 'internal', title: 'Internal Server Error' });
    expect(answer.body).not.toMatch(/prisma|relation|table/i);
  } finally {
    await broken.close();
  }
});

test('over the rate limit of a key, 429 says when to come back; other keys are not concerned', async () => {
  const limited = await createTestApp({ env: { READAPT_RATE_LIMIT_PER_MINUTE: '3' } });
  try {
    const other = await createTestKey(limited.db);
    const statuses: number[] = [];
    for (let index = 0; index < 4; index += 1)
      statuses.push((await limited.request({ url: '/v1/tenants' })).statusCode);
    expect(statuses).toEqual([200, 200, 200, 429]);
    const refused = await limited.request({ url: '/v1/tenants' });
    expect(refused.json().code).toBe('rate_limited');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(60);
    expect((await limited.request({ url: '/v1/tenants', key: other })).statusCode).toBe(200);
    expect((await limited.request({ url: '/healthz' })).statusCode).toBe(200);
  } finally {
    await limited.close();
  }
});

test('guessing keys is slowed down', async () => {
  const guessed = await createTestApp();
  try {
    const statuses = new Set<number>();
    for (let index = 0; index < 310; index += 1)
      statuses.add((await guessed.request({ url: '/v1/tenants', key: 'x' })).statusCode);
    expect(statuses).toEqual(new Set([401, 429]));
    expect((await guessed.request({ url: '/v1/tenants' })).statusCode).toBe(200);
  } finally {
    await guessed.close();
  }
});

test('a body that breaks off is not taken for a database that cannot be reached, which has the same code', async () => {
  const app = Fastify();
  useProblems(app);
  const reset = () => Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
  app.get('/database', () => Promise.reject(reset()));
  // Fastify sets this status on errors of a body.
  app.get('/body', () => Promise.reject(Object.assign(reset(), { statusCode: 400 })));
  expect((await app.inject('/database')).statusCode).toBe(503);
  expect((await app.inject('/body')).statusCode).toBe(400);
});

test('docs/api.md and the OpenAPI document list every code', async () => {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const page = await readFile(path.join(root, 'docs/api.md'), 'utf8');
  const files = await readdir(path.join(root, 'src'), { recursive: true });
  const sources = files.filter((name) => name.endsWith('.ts') && !name.startsWith('generated'));
  const texts = await Promise.all(sources.map((name) => readFile(path.join(root, 'src', name), 'utf8')));
  // Codes occur in `new AppError({ code, … status })`, `conflict` and `unprocessable`. Codes of a job's error have no
  // status.
  const pattern = /code: '(\w+)',?\s+status|(?:conflict|unprocessable|notAllowed)\(\s*'(\w+)'/g;
  const codes = texts.flatMap((text) => [...text.matchAll(pattern)].map(([, first, second]) => first ?? second ?? ''));
  expect(codes.length).toBeGreaterThan(30);
  expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  const known: readonly string[] = Object.values(PROBLEM_CODES).flat();
  expect(codes.filter((code) => !known.includes(code))).toEqual([]);
  expect(known.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
});

test('a body over the limit is told the setting', async () => {
  const payload = { name: 'a'.repeat(3000) };
  const answer = await service.request({ method: 'POST', url: '/v1/tenants', payload });
  expect(answer.json()).toMatchObject({
    ...{ status: 413, code: 'body_too_large', setting: 'READAPT_BODY_LIMIT_BYTES' },
    detail: expect.stringContaining('READAPT_BODY_LIMIT_BYTES'),
  });
});
