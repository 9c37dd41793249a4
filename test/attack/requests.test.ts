import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listAdapters, listApiKeys } from '../../openapi/clients/typescript/src/index.ts';
import { attack, expectProblem, MAX_CROWD_HEALTH_MS, underAttack } from './support/attack.ts';
import { endless, whole } from './support/bodies.ts';
import { exchange, type RawAnswer } from './support/raw-exchange.ts';
import { startAttackedService, type AttackedService } from './support/service.ts';

let service: AttackedService;
beforeAll(async () => {
  service = await startAttackedService();
});
afterAll(() => service?.stop());

const authorized = () => ({ authorization: `Bearer ${service.tenantKey}` });

/** Head of a raw request; `lines` go in unchanged. */
const head = (first: string, ...lines: string[]) => [first, 'host: a', ...lines, '', ''].join('\r\n');

/** Smuggled request, which the service must not see: a proxy in front would take it for the body of the one before. */
const SMUGGLED = 'GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n';

describe('what two programs could take for different requests is refused, and nothing behind it is answered:', () => {
  const post = (...lines: string[]) => head('POST /v1/adapters HTTP/1.1', 'content-type: application/json', ...lines);
  test.each<[string, string]>([
    ['two lengths', post('content-length: 5', 'content-length: 0')],
    ['a length and chunks', post('content-length: 5', 'transfer-encoding: chunked') + '0\r\n\r\n'],
    ['chunks that are not the last encoding', post('transfer-encoding: chunked, identity')],
    ['another encoding', post('transfer-encoding: xchunked')],
    ['a space before a colon', post('transfer-encoding : chunked') + '0\r\n\r\n'],
    ['a length with a sign', post('content-length: +0')],
    ['a length that is no number', post('content-length: 0x0')],
    ['a length of 30 digits', post(`content-length: 1${'0'.repeat(29)}`)],
    ['a line feed alone', 'GET /v1/adapters HTTP/1.1\nhost: a\n\n'],
    ['a carriage return in a value', post('x: a\rtransfer-encoding: chunked', 'content-length: 0')],
    ['a NUL in a value', post('x: a\0b', 'content-length: 0')],
    ['a version that is none', 'GET /v1/adapters HTTP/9.9\r\nhost: a\r\n\r\n'],
    ['a tunnel', 'CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n'],
  ])('%s', async (name, request) => {
    const answers = await rawAttack(name, request + SMUGGLED);
    expect(answers.map(({ status }) => status)).toHaveLength(1);
  });

  test.each<[string, string]>([
    ['a size of a chunk of 17 digits', 'F'.repeat(17)],
    ['an extension of a chunk without an end', `5;${'a'.repeat(1 << 20)}`],
    ['a size of a chunk that is no number', '-1'],
    ['trailers without an end', `0\r\n${'a: b\r\n'.repeat(50_000)}`],
  ])('%s', async (name, chunk) => {
    const start = post('transfer-encoding: chunked', `authorization: Bearer ${service.tenantKey}`);
    const answers = await rawAttack(name, `${start}${chunk}\r\n${SMUGGLED}`);
    expect(answers.map(({ status }) => status)).toHaveLength(1);
  });
});

test.each<[string, string, string]>([
  ['no host', 'malformed_http', 'GET /v1/adapters HTTP/1.1\r\nconnection: close\r\n\r\n'],
  ['an expectation that is none', 'unauthorized', head('GET /v1/jobs HTTP/1.1', 'expect: x', 'connection: close')],
  ['a change of the protocol', 'unauthorized', head('GET /v1/jobs HTTP/1.1', 'upgrade: h2c', 'connection: close')],
  ['another site as its target', 'unauthorized', head('GET http://b/v1/jobs HTTP/1.1', 'connection: close')],
  ['a method that shows what it was sent', 'method_not_allowed', head('TRACE /v1/jobs HTTP/1.1', 'connection: close')],
])('a request with %s', async (name, code, request) => {
  expect(await rawAttack(`a request with ${name}`, request)).toMatchObject([{ body: { code } }]);
});

describe('a head that is very large:', () => {
  const get = (path: string, ...lines: string[]) =>
    head(`GET ${path} HTTP/1.1`, `authorization: Bearer ${service.tenantKey}`, 'connection: close', ...lines);
  test.each<[string, string, () => string]>([
    ['a query of a megabyte', 'headers_too_large', () => get(`/v1/adapters?x=${'y'.repeat(1 << 20)}`)],
    ['a query of 3,000 unknown fields', 'invalid_request', () => get(`/v1/adapters?${fields(3_000)}`)],
    ['a field 5,000 times', 'invalid_request', () => get(`/v1/adapters?${'l=1&'.repeat(3_500)}limit=1`)],
    ['a field that names a prototype', 'invalid_request', () => get('/v1/adapters?__proto__[limit]=1&__proto__=1')],
    ['a cursor of 12,000 characters', 'invalid_request', () => get(`/v1/adapters?cursor=${'A'.repeat(12_000)}`)],
    ['a path of 12,000 characters', 'path_too_long', () => get(`/v1/adapters/${'a'.repeat(12_000)}`)],
    ['a path of 4,000 parts', 'route_not_found', () => get(`/v1${'/a'.repeat(4_000)}`)],
    ['a path that climbs', 'route_not_found', () => get(`/v1${'/..'.repeat(40)}/etc/passwd`)],
    ['a header without an end', 'headers_too_large', () => `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(1 << 20)}`],
    ['100,000 headers', 'headers_too_large', () => get('/v1/adapters', 'a: b\r\n'.repeat(100_000) + 'a: b')],
    ['a key of 12,000 characters', 'unauthorized', () => head('GET /v1/jobs HTTP/1.1', longKey(), 'connection: close')],
  ])('%s', async (name, code, request) => {
    const answers = await rawAttack(name, request());
    expect(answers).toMatchObject([{ body: { code } }]);
  });

  const fields = (count: number) => Array.from({ length: count }, (_, index) => `${index.toString(36)}=`).join('&');
  const longKey = () => `authorization: Bearer ${'x'.repeat(12_000)}`;
});

describe('a body of JSON', () => {
  const named = (json: string) => `{"name":${json}}`;
  test.each<[string, string, () => string]>([
    ['of 500,000 brackets', 'invalid_request', () => '['.repeat(500_000) + ']'.repeat(500_000)],
    ['of a million brackets without their ends', 'invalid_request', () => '['.repeat(1_000_000)],
    ['with 90,000 members', 'invalid_request', () => `{${members(90_000)}"a":1}`],
    ['with one member 90,000 times', 'invalid_request', () => `{${'"name":"a",'.repeat(90_000)}"name":1}`],
    ['with a number of a million digits', 'invalid_request', () => named('9'.repeat(1_000_000))],
    ['with a name of 170,000 escapes', 'invalid_request', () => named(`"${'\\u202e'.repeat(170_000)}"`)],
    ['with a name that turns its direction', 'invalid_request', () => named('"ready\u202etxt.exe"')],
    ['with a name with a NUL', 'invalid_request', () => named('"a\\u0000b"')],
    ['with half of a character', 'invalid_request', () => named('"a\\ud800"')],
    ['with a prototype', 'malformed_json', () => '{"__proto__":{"tenant_id":"x"}}'],
    ['of two documents', 'malformed_json', () => '{"name":"a"}{"name":"b"}'],
  ])('%s', async (name, code, body) => {
    const headers = { ...authorized(), 'content-type': 'application/json' };
    const request = { path: '/v1/adapters', headers, body: whole(body()) };
    const answer = await attack(service, `a body of JSON ${name}`, request);
    expect(answer.body).toMatchObject({ code });
  });

  const members = (count: number) => Array.from({ length: count }, (_, index) => `"${index}":0,`).join('');
});

describe('a form of very many small fields', () => {
  const field = '--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n';
  test.each([['/v1/datasets?name=form'], ['/v1/adapters'], ['/v1/api-keys']])('for %s', async (path) => {
    const headers = { ...authorized(), 'content-type': 'multipart/form-data; boundary=b' };
    const answer = await attack(service, `a form for ${path}`, { path, headers, body: endless('', field) });
    expect(answer.body).toMatchObject({ code: 'unsupported_media_type' });
  });
});

describe('a name in a query', () => {
  const rows = '{"prompt":"p","completion":"c"}\n';
  test.each([
    ['that climbs', '../../etc/passwd'],
    ['that turns its direction', 'rows\u202ejsonl'],
    ['of combining marks', `e${'\u0301'.repeat(60)}`],
    ['with a line feed', 'a\r\nset-cookie: b'],
    ['of surrogate pairs', '\u{1f600}'.repeat(40)],
    ['in letters that look like others', 'аdmin'],
    ['that is empty', ''],
  ])('%s', async (name, value) => {
    const headers = { ...authorized(), 'content-type': 'application/x-ndjson' };
    const path = `/v1/datasets?name=${encodeURIComponent(value)}`;
    const answer = await attack(service, `a name ${name}`, { path, headers, body: whole(rows) });
    expect(answer.body).toMatchObject({ code: 'invalid_request' });
  });
});

describe('an Idempotency-Key', () => {
  test.each([
    ['of 10,000 characters', 'x'.repeat(10_000)],
    ['with spaces', 'a b'],
    ['that is empty', ''],
  ])('%s', async (name, key) => {
    const headers = { ...authorized(), 'content-type': 'application/json', 'idempotency-key': key };
    const request = { path: '/v1/api-keys', headers, body: whole('{}') };
    const answer = await attack(service, `an Idempotency-Key ${name}`, request);
    expect(answer.body).toMatchObject({ status: 400 });
  });

  test('for fifty bodies at once is that of one of them', async () => {
    const headers = { ...authorized(), 'content-type': 'application/json', 'idempotency-key': randomUUID() };
    const statuses = await underAttack(
      service,
      'an Idempotency-Key for fifty bodies',
      () =>
        Promise.all(
          Array.from({ length: 50 }, async (_, index) => {
            const body = JSON.stringify({ name: `many-${index}`, scopes: ['tenant:read'] });
            const response = await fetch(`${service.origin}/v1/api-keys`, { method: 'POST', headers, body });
            const answer = (await response.json()) as { code?: string };
            return answer.code ?? String(response.status);
          }),
        ),
      { summary: (found) => [[...new Set(found)].sort().join(', ')], maxHealthMs: MAX_CROWD_HEALTH_MS },
    );
    expect(statuses.filter((status) => status === '201')).toHaveLength(1);
    const refused = statuses.filter((status) => status !== '201');
    expect(['idempotency_key_reused', 'idempotency_in_progress']).toEqual(
      expect.arrayContaining([...new Set(refused)]),
    );
    const { data } = await listApiKeys({ client: service.tenant, query: { limit: 100 } });
    expect(data.filter(({ name }) => name.startsWith('many-'))).toHaveLength(1);
  });
});

test('the service still answers honest requests after all that', async () => {
  const { data } = await listAdapters({ client: service.tenant });
  expect(data).toHaveLength(1);
});

/** Sends raw bytes and checks that each answer is a problem. */
async function rawAttack(name: string, bytes: string): Promise<RawAnswer[]> {
  const answers = await underAttack(service, name, () => exchange(service.origin, bytes), {
    summary: (found) => [`answered ${found.map(({ status }) => status).join(', ')}`],
  });
  answers.forEach(expectProblem);
  return answers;
}
