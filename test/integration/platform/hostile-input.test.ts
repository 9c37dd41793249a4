import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bearer, createTestApp, createTestTenant, type TestApp, type TestTenant } from '../support/index.ts';

let service: TestApp;
let tenant: TestTenant;
beforeAll(async () => {
  service = await createTestApp();
  tenant = await createTestTenant(service.db, 'acme');
});
afterAll(() => service.close());

const json = { 'content-type': 'application/json' };
const nested = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);
const TOO_DEEP = { in: 'body', field: 'body', message: 'is nested deeper than 32 levels' };
const wide = Array.from({ length: 60_000 }, (_, index) => `"a${index}":1`).join();
const bytes = (before: string, ...raw: number[]) =>
  Buffer.concat([Buffer.from(before), Buffer.from(raw), Buffer.from('"}')]);

describe('a body that', () => {
  test.each<[string, string | Buffer, object]>([
    [
      'is nested deeper than a stack',
      `{"version":"1","path":"/x","rollout":${nested(50_000)}}`,
      { code: 'invalid_request', errors: [TOO_DEEP] },
    ],
    ['is nested deeper than 32 levels', nested(33), { code: 'invalid_request', errors: [TOO_DEEP] }],
    [
      'is an array nested as deeply',
      '['.repeat(200_000) + ']'.repeat(200_000),
      { code: 'invalid_request', errors: [TOO_DEEP] },
    ],
    [
      'has a member with a very long name',
      `{"version":"1","path":"/x","${'y'.repeat(500_000)}":1}`,
      { code: 'invalid_request', errors: [{ field: expect.stringMatching(/^y{119}…$/) }] },
    ],
    [
      'has very many members',
      `{"version":"1","path":"/x","rollout":{${wide}}}`,
      { code: 'invalid_request', errors: [{ field: 'body', message: 'has more than 10000 values, expected fewer' }] },
    ],
    [
      'has brackets and commas in a name only',
      JSON.stringify({ version: '1', path: '/x', [`\\"${'[{,'.repeat(20_000)}`]: 1 }),
      { code: 'invalid_request', errors: [{ message: 'is not a known field' }] },
    ],
    [
      'holds a NUL character',
      '{"version":"1","path":"/x\\u0000y"}',
      { code: 'invalid_request', errors: [{ field: 'path' }] },
    ],
    [
      'holds half of a surrogate pair',
      '{"version":"1","path":"/x\\ud800y"}',
      { code: 'invalid_request', errors: [{ field: 'path' }] },
    ],
    ['is not UTF-8', bytes('{"version":"1","path":"/', 0xff, 0xfe), { code: 'malformed_json' }],
    ['is cut within a character', bytes('{"version":"1","path":"/', 0xe2, 0x82), { code: 'malformed_json' }],
  ])('%s is refused', async (_what, payload, problem) => {
    const answer = await service.request({ method: 'POST', url: '/v1/base-models/m/versions', payload, headers: json });
    expect(answer.statusCode, answer.body).toBe(400);
    expect(answer.json()).toMatchObject(problem);
  });

  test.each([
    [{ 'content-type': 'text/plain' }, 'unsupported_media_type'],
    [{ 'content-type': 'application/json', 'content-encoding': 'gzip' }, 'unsupported_content_encoding'],
  ])('comes with %j is refused', async (headers, code) => {
    const answer = await service.request({ method: 'POST', url: '/v1/tenants', payload: '{"name":"plain"}', headers });
    expect([answer.statusCode, answer.json().code]).toEqual([415, code]);
  });

  test('is empty is none, where none is expected', async () => {
    const made = await service.request({
      method: 'POST',
      url: '/v1/api-keys',
      key: tenant.key,
      payload: { name: 'x', scopes: ['tenant:read'] },
    });
    const answer = await service.request({
      method: 'DELETE',
      url: `/v1/api-keys/${made.json().id}`,
      headers: json,
      payload: '',
    });
    expect(answer.statusCode, answer.body).toBe(204);
  });

  test('names a field that is not known says so once', async () => {
    const answer = await service.request({ method: 'POST', url: '/v1/tenants', payload: { name: 'a', color: 1 } });
    expect(answer.json().errors).toEqual([{ in: 'body', field: 'color', message: 'is not a known field' }]);
  });
});

/**
 * Times that RFC 3339 allows or seems to allow, but that JavaScript or PostgreSQL cannot read or Readapt cannot write.
 */
const UNREADABLE_TIMES = [
  ['a leap second', '2016-12-31T23:59:60Z'],
  ['the year 0', '0000-01-01T00:00:00Z'],
  ['an offset of hours alone', '2026-11-27T10:00:00+01'],
  ['a time of the year 10000', '9999-12-31T23:59:59-23:59'],
] as const;

describe.each(UNREADABLE_TIMES)('%s', (_what, time) => {
  test.each<['GET' | 'POST', string, object?]>([
    ['GET', '/v1/jobs?updated_since='],
    ['GET', '/v1/reports/ttr?from='],
    ['GET', '/v1/reports/ttr?to='],
    ['GET', '/v1/reports/ttr/export?from='],
    ['POST', '/v1/api-keys', { name: 'x', scopes: ['tenant:read'], expires_at: time }],
    ['POST', '/v1/webhook-endpoints/whe_01900000-0000-7000-8000-000000000000/replay', { since: time }],
  ])('is refused by %s %s', async (method, url, payload) => {
    const asked = method === 'GET' ? `${url}${encodeURIComponent(time)}` : url;
    const answer = await service.request({ method, url: asked, key: tenant.key, ...(payload && { payload }) });
    expect([answer.statusCode, answer.json().code], answer.body).toEqual([400, 'invalid_request']);
    expect(answer.json().errors).toEqual(
      expect.arrayContaining([expect.objectContaining({ message: expect.stringContaining('must be a time such as') })]),
    );
    expect(answer.body).not.toContain('pattern');
  });
});

test('any other time can be asked for, up to the last one that is written with four digits', async () => {
  const since = ['1970-01-01T00:00:00Z', '2026-11-27T10:00:00.123456+05:30', '9999-12-31T23:59:59Z'];
  for (const time of since) {
    const { statusCode } = await service.request({ url: `/v1/jobs?updated_since=${encodeURIComponent(time)}` });
    expect(statusCode, time).toBe(200);
  }
  const payload = { name: 'for ever', scopes: ['tenant:read'], expires_at: '9999-12-31T23:59:59Z' };
  const made = await service.request({ method: 'POST', url: '/v1/api-keys', key: tenant.key, payload });
  expect(made.json().expires_at).toBe('9999-12-31T23:59:59.000Z');
});

test('a compressed upload is refused', async () => {
  const headers = { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' };
  const answer = await service.request({
    method: 'POST',
    url: '/v1/datasets?name=zipped',
    key: tenant.key,
    headers,
    payload: 'x',
  });
  expect([answer.statusCode, answer.json().code]).toEqual([415, 'unsupported_content_encoding']);
});

describe('a path', () => {
  test.each([
    ['/v1/base-models/%00', 400, 'invalid_request'],
    ['/v1/base-models/%ff', 400, 'invalid_request'],
    [`/v1/base-models/${'a'.repeat(300)}`, 414, 'path_too_long'],
    ['/v1/tenants/..%2f..%2fetc', 400, 'invalid_request'],
    ['/docs/static/..%2f..%2fpackage.json', 404, 'route_not_found'],
  ])('%s answers %i', async (url, status, code) => {
    const answer = await service.request({ url });
    expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
    expect(answer.headers['content-type']).toContain('application/problem+json');
  });
});

test.each(['PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const)(
  '%s on a list says which methods there are',
  async (method) => {
    const answer = await service.request({ method, url: '/v1/tenants?limit=1' });
    expect([answer.statusCode, answer.json().code]).toEqual([405, 'method_not_allowed']);
    expect(answer.headers.allow).toBe('GET, HEAD, POST');
  },
);

test('HEAD has the headers of GET', async () => {
  const [head, get] = [
    await service.request({ method: 'HEAD', url: '/v1/tenants' }),
    await service.request({ url: '/v1/tenants' }),
  ];
  expect([head.statusCode, head.headers.etag, head.body]).toEqual([200, get.headers.etag, '']);
});

describe('what is no HTTP', () => {
  test.each([
    ['FOO / HTTP/1.1\r\n\r\n', 400, 'malformed_http'],
    ['GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n', 400, 'malformed_http'],
    [
      'POST /v1/tenants HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'malformed_http',
    ],
    [`GET / HTTP/1.1\r\nhost: a\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`, 431, 'headers_too_large'],
  ])('%.40j is answered with a problem', async (request, status, code) => {
    if (service.app.server.address() === null) await service.app.listen({ port: 0, host: '127.0.0.1' });
    const socket = connect((service.app.server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(request);
    const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(head).toContain('application/problem+json');
    expect(JSON.parse(body)).toMatchObject({ status, code });
  });
});

test('an upload that stands still is cut off, and its key is free again', async () => {
  const hasty = await createTestApp({ env: { READAPT_IDLE_TIMEOUT_MS: '300' } });
  try {
    const { key } = await createTestTenant(hasty.db, 'slow');
    await hasty.app.listen({ port: 0, host: '127.0.0.1' });
    const socket = connect((hasty.app.server.address() as AddressInfo).port, '127.0.0.1');
    // Data that the server has not read is lost with the connection, which the client reports as an error.
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const head = [
      'POST /v1/datasets?name=slow HTTP/1.1',
      'host: a',
      'content-type: application/x-ndjson',
      'content-length: 1000',
    ];
    socket.write(
      `${head.join('\r\n')}\r\nauthorization: ${bearer(key).authorization}\r\nidempotency-key: slow\r\n\r\n{"prompt":`,
    );
    await closed;
    await expect.poll(() => hasty.db.idempotencyRecord.count()).toBe(0);
    expect(await hasty.db.dataset.count()).toBe(0);
  } finally {
    await hasty.close();
  }
});
