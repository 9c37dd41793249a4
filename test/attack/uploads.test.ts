import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { uploadAdapterVersion } from '../../openapi/clients/typescript/src/index.ts';
import { attack, attackTogether } from './support/attack.ts';
import {
  endless,
  gzipBomb,
  record,
  TAR_END,
  tarEntry,
  whole,
  zstdWithTarMagic,
  type TarEntry,
} from './support/bodies.ts';
import { sendHostile } from './support/hostile-client.ts';
import { startAttackedService, type AttackedService } from './support/service.ts';

let service: AttackedService;
beforeAll(async () => {
  service = await startAttackedService({
    READAPT_DATASET_ROW_LIMIT: '20000',
    READAPT_UPLOAD_LIMIT_BYTES: String(20 << 20),
  });
});
afterAll(() => service?.stop());

const FIXTURE = 'test/fixtures/golden/broken/control/adapter';
const NDJSON = 'application/x-ndjson';
const ROW = '{"prompt":"p","completion":"c"}\n';

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const tar = () => ({ ...bearer(service.tenantKey), 'content-type': 'application/x-tar' });
const ndjson = () => ({ ...bearer(service.tenantKey), 'content-type': NDJSON });
/** Valid archive with its end blocks. */
const ARCHIVE = Buffer.concat([
  ...['adapter_config.json', 'adapter_model.safetensors'].map((path) =>
    tarEntry({ path, content: readFileSync(`${FIXTURE}/${path}`) }),
  ),
  TAR_END,
]);

describe('an archive', () => {
  const extended = (content: string, type: TarEntry['type'] = 'ExtendedHeader') =>
    tarEntry({ path: 'PaxHeader', type, content });
  test.each<[string, string, () => Iterable<Uint8Array>]>([
    ['a gzip that looks like a tar', 'invalid_archive', () => whole(gzipBomb(ARCHIVE))],
    ['a zstd that looks like a tar', 'invalid_archive', () => whole(zstdWithTarMagic())],
    ['a compressed body without an end', 'invalid_archive', () => endless(gzipBomb(ARCHIVE), 'x')],
    ['zeros without an end behind a whole archive', 'invalid_archive', () => endless(ARCHIVE, Buffer.alloc(64 << 10))],
    ['other bytes without an end behind a whole archive', 'invalid_archive', () => endless(ARCHIVE, 'x')],
    [
      'extended headers without an end',
      'invalid_archive',
      () => endless('', extended(record('comment', 'x'.repeat(30_000)))),
    ],
    [
      'global headers without an end',
      'invalid_archive',
      () => endless('', extended(record('comment', 'x'.repeat(30_000)), 'GlobalExtendedHeader')),
    ],
    [
      'an extended header of a gigabyte',
      'invalid_archive',
      () => endless(tarEntry({ path: 'PaxHeader', type: 'ExtendedHeader', size: 2 ** 30 }), '9 path=a\n'),
    ],
    [
      'a name of 100 MB',
      'invalid_archive',
      () => endless(tarEntry({ path: '././@LongLink', type: 'NextFileHasLongPath', size: 100_000_000 }), 'a'),
    ],
    ['folders without an end', 'invalid_archive', () => endless('', tarEntry({ path: 'a/', type: 'Directory' }))],
    [
      'weights said to be larger than any adapter',
      'adapter_too_large',
      () => endless(tarEntry({ path: 'adapter_model.safetensors', size: 2 ** 40 }), 'x'),
    ],
  ])('%s', async (name, code, body) => {
    const answer = await attack(service, name, { path: service.versionsPath, headers: tar(), body: body() });
    expect(answer.body).toMatchObject({ code });
  });
});

describe('a dataset', () => {
  const messages = '"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]';
  const wide = (count: number) => `{${messages},"tools":[{"a":[${'[],'.repeat(count)}0]}]}\n`;
  const deep = (depth: number) => `{${messages},"tools":[{"a":${'['.repeat(depth)}${']'.repeat(depth)}}]}\n`;
  test.each<[string, string, () => Iterable<Uint8Array>]>([
    ['blank lines without an end', 'invalid_dataset', () => endless(ROW, '\n')],
    ['lines of spaces without an end', 'invalid_dataset', () => endless(ROW, ' \r\n')],
    ['bad lines without an end', 'invalid_dataset', () => endless(ROW, '{}\n')],
    ['a line without an end', 'invalid_dataset', () => endless(ROW, 'x')],
    ['deeply nested rows without an end', 'invalid_dataset', () => endless(ROW, deep(20_000))],
    ['a deeply nested row', 'invalid_dataset', () => whole(deep(20_000))],
    ['rows of 60,000 values without an end', 'invalid_dataset', () => endless(ROW, wide(30_000))],
    ['rows of 19,000 values without an end', 'upload_too_large', () => endless('', wide(9_500))],
    ['rows without an end', 'upload_too_large', () => endless('', ROW)],
    ['a compressed body without an end', 'invalid_dataset', () => endless(gzipBomb(ARCHIVE), 'x')],
  ])('%s', async (name, code, body) => {
    const path = `/v1/datasets?name=${randomUUID()}`;
    const answer = await attack(service, name, { path, headers: ndjson(), body: body() });
    expect(answer.body).toMatchObject({ code });
  });
});

describe('a replayed Idempotency-Key', () => {
  test('with a body without an end, of a dataset', async () => {
    const rows = ['training', 'search', 'gate'].map((split) => ROW.replace('}', `,"split":"${split}"}`)).join('');
    const path = '/v1/datasets?name=replayed';
    const headers = { ...ndjson(), 'idempotency-key': 'dataset' };
    const first = await sendHostile(service.origin, { path, headers, body: whole(rows) });
    expect(first.status).toBe(201);
    const answer = await attack(service, 'a replayed dataset without an end', {
      path,
      headers,
      body: endless(rows, '\n'),
    });
    expect(answer.body).toMatchObject({ status: 422, code: 'idempotency_key_reused' });
  });

  test('with a body without an end, of an archive', async () => {
    const headers = { ...tar(), 'idempotency-key': 'archive' };
    const first = await sendHostile(service.origin, { path: service.versionsPath, headers, body: whole(ARCHIVE) });
    expect(first.status, JSON.stringify(first.body)).toBe(201);
    const request = { path: service.versionsPath, headers, body: endless(ARCHIVE, Buffer.alloc(1024)) };
    const answer = await attack(service, 'a replayed archive without an end', request);
    expect(answer.body).toMatchObject({ status: 422, code: 'idempotency_key_reused' });
  });

  test('of an upload that is still running', async () => {
    const path = '/v1/datasets?name=slow';
    const headers = { ...ndjson(), 'idempotency-key': 'slow' };
    let end = () => {};
    const ending = new Promise<void>((resolve) => (end = resolve));
    async function* slow() {
      yield Buffer.from(ROW);
      await ending;
    }
    const running = sendHostile(service.origin, { path, headers, body: slow() });
    try {
      await expect.poll(async () => (await service.temporaries()).length).toBe(1);
      const answer = await sendHostile(service.origin, { path, headers, body: endless(ROW, ROW) });
      expect(answer).toMatchObject({ status: 409, body: { code: 'idempotency_in_progress' } });
      expect(answer.sentBytes).toBeLessThan(256 << 20);
    } finally {
      end();
      await running;
    }
  });
});

describe('a body without an end, for a route that does not read it:', () => {
  test.each<[string, string, () => { method?: string; path: string; headers: Record<string, string> }]>([
    ['without a key', 'unauthorized', () => ({ path: '/v1/datasets?name=x', headers: { 'content-type': NDJSON } })],
    ['of another type', 'unsupported_media_type', () => ({ path: '/v1/datasets?name=x', headers: typed('x/y') })],
    ['that there is not', 'route_not_found', () => ({ path: '/v1/nowhere', headers: bearer(service.tenantKey) })],
    ['outside of /v1', 'route_not_found', () => ({ path: '/nowhere', headers: {} })],
    ['with a bad path', 'invalid_request', () => ({ path: '/v1/tenants/%ff', headers: bearer(service.tenantKey) })],
    ['of JSON', 'body_too_large', () => ({ path: '/v1/adapters', headers: json() })],
    ['of JSON with a key', 'body_too_large', () => ({ path: '/v1/adapters', headers: { ...json(), ...once() } })],
    [
      'of another type with a key',
      'unsupported_media_type',
      () => ({ path: '/v1/adapters', headers: { ...typed('x/y'), ...once() } }),
    ],
  ])('%s', async (name, code, request) => {
    const answer = await attack(service, `a body without an end ${name}`, { ...request(), body: endless('', 'x') });
    expect(answer.body).toMatchObject({ code });
  });

  const json = () => ({ ...bearer(service.tenantKey), 'content-type': 'application/json' });
  const once = () => ({ 'idempotency-key': randomUUID() });
  const typed = (type: string) => ({ ...bearer(service.tenantKey), 'content-type': type });
});

test('twenty uploads without an end at once', async () => {
  const bodies = [
    () => endless(ROW, 'x'),
    () => endless('', ROW),
    () => endless(ROW, '\n'),
    () => endless(ROW, '{}\n'),
  ];
  const requests = Array.from({ length: 20 }, (_, index) => ({
    path: `/v1/datasets?name=together-${index}`,
    headers: ndjson(),
    body: bodies[index % bodies.length]!(),
  }));
  await attackTogether(service, 'twenty uploads without an end at once', requests);
});

test('an honest upload is still taken after all that', async () => {
  const archive = Buffer.concat([ARCHIVE, Buffer.alloc(10_240)]);
  const version = await uploadAdapterVersion({
    client: service.tenant,
    path: { id: service.adapterId },
    query: { base_model_version: '1' },
    body: new Blob([archive]),
  });
  expect(version).toMatchObject({ number: 2, rank: expect.any(Number) });
});
