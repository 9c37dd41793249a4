import { request as httpRequest, type ClientRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BaseModelUpload } from '../../../src/fleet/base-uploads/base-upload.schemas.ts';
import { BASE } from '../../unit/training/support/tiny-task.ts';
import { eventually } from '../../eventually.ts';
import { bearer, createTestApp, type TestApp } from '../support/index.ts';
import { contents } from '../support/store-contents.ts';
import {
  announced,
  archiveOf,
  entriesOf,
  filesOf,
  PART_BYTES,
  sha256,
  startVerifier,
  uploader,
  type TestFile,
} from './support.ts';

let app: TestApp;
let api: ReturnType<typeof uploader>;
let verifier: ReturnType<typeof startVerifier>;
let base: TestFile[];
let large: TestFile;

beforeAll(async () => {
  app = await createTestApp({ env: { READAPT_BASE_UPLOAD_PART_BYTES: String(PART_BYTES) } });
  api = uploader(app);
  await app.app.listen({ port: 0, host: '127.0.0.1' });
  verifier = startVerifier(app);
  base = await filesOf(BASE);
  large = base.find(({ name }) => name === 'model.safetensors')!;
  await app.request({ method: 'POST', url: '/v1/base-models', payload: { name: 'assistant' } });
});
afterAll(async () => {
  await verifier?.stop();
  await app?.close();
});

/** Starts sending a part. */
function beginPart(id: string, bytes: Buffer): ClientRequest {
  const { port } = app.app.server.address() as AddressInfo;
  const path = `/v1/base-model-uploads/${id}/files/${large.name}/parts/1`;
  const type = { 'content-type': 'application/octet-stream', 'content-length': bytes.length };
  const headers = { ...bearer(app.operatorKey), ...type };
  const request = httpRequest({ port, host: '127.0.0.1', path, method: 'PUT', headers, agent: false });
  request.on('error', () => undefined);
  request.write(bytes.subarray(0, 5000));
  return request;
}

describe('an upload', () => {
  test('of files becomes a version, whose source it is, and says until then what is missing', async () => {
    const answer = await api.begin(announced(base));
    expect(answer.statusCode, answer.body).toBe(201);
    const { id, ...upload } = answer.json<BaseModelUpload>();
    expect(answer.headers.location).toBe(`/v1/base-model-uploads/${id}`);
    expect(upload).toMatchObject({ state: 'open', part_bytes: PART_BYTES, source: `upload://${id}` });
    const parts = Math.ceil(large.content.length / PART_BYTES);
    expect(parts).toBeGreaterThan(3);

    // Parts may arrive in any order and several at a time.
    const all = base.flatMap(api.partsOf).reverse();
    const late = all.filter(({ name, number }) => name === large.name && [2, 3].includes(number));
    const sent: LightMyRequestResponse[] = [];
    const queue = all.filter((part) => !late.includes(part)).values();
    const send = async () => {
      for (const part of queue) sent.push(await api.put(id, part));
    };
    await Promise.all([send(), send(), send(), send()]);
    expect(sent.map(({ statusCode }) => statusCode)).toEqual(sent.map(() => 200));
    const partly = (await api.get(id)).files.find(({ name }) => name === large.name);
    expect(partly).toMatchObject({ parts, missing: [{ first: 2, last: 3 }] });
    const early = await api.complete(id);
    expect(early.json()).toMatchObject({
      status: 409,
      code: 'base_model_upload_incomplete',
      file: large.name,
      part: 2,
    });
    expect((await api.register('early', `upload://${id}`)).json()).toMatchObject({
      status: 422,
      code: 'source_not_found',
    });

    for (const part of late) await api.put(id, part);
    const [first, second] = await Promise.all([api.complete(id), api.complete(id)]);
    expect([first.statusCode, second.statusCode]).toEqual([202, 202]);
    const done = await api.ended(id);
    expect(done).toMatchObject({ state: 'complete', error: null, completed_at: expect.any(String) });
    expect(done.files.map(({ verified_bytes: bytes }) => bytes)).toEqual(base.map(({ content }) => content.length));
    expect((await api.eventsOf(id)).filter((type) => type !== 'part_received')).toEqual([
      'created',
      'verifying',
      'completed',
    ]);

    const refused = await api.put(id, late[0]!);
    expect(refused.json()).toMatchObject({ status: 409, code: 'base_model_upload_not_open', state: 'complete' });
    const version = await api.register('1', { kind: 'upload', id });
    expect(version.statusCode, version.body).toBe(201);
    expect(version.json()).toMatchObject({
      base_model_version: {
        path: null,
        architecture: 'llama',
        source: { kind: 'upload', id, files: expect.arrayContaining([{ ...announced([large])[0], etag: null }]) },
      },
    });
    expect(await api.get(id)).toMatchObject({ expires_at: null });
    const removal = await app.request({ method: 'DELETE', url: `/v1/base-model-uploads/${id}` });
    expect(removal.json()).toMatchObject({ status: 409, code: 'base_model_upload_in_use' });
  });

  test('is found by its files, so that who runs the command again goes on with it', async () => {
    const files = announced(base).reverse();
    const { id, files_digest: digest } = (await api.begin(files)).json<BaseModelUpload>();
    const { files_digest: other } = (
      await api.begin(files.slice(0, -1).concat({ ...files[0]!, name: 'added_tokens.json' }))
    ).json<BaseModelUpload>();
    expect(other).not.toBe(digest);
    const list = await app.request({
      url: `/v1/base-model-uploads?state=open&files_digest=${encodeURIComponent(digest)}`,
    });
    expect(list.json<{ data: { id: string }[] }>().data.map((upload) => upload.id)).toEqual([id]);
    expect((await app.request({ method: 'DELETE', url: `/v1/base-model-uploads/${id}` })).statusCode).toBe(204);
    expect((await app.request({ url: `/v1/base-model-uploads/${id}` })).statusCode).toBe(404);
  });

  test('of archives of which each has some of the files is as one of the files themselves', async () => {
    const others = base.filter((file) => file !== large);
    const archives = [
      archiveOf('rest.tar', [
        { path: './', type: 'Directory' },
        ...entriesOf(others, './'),
        { path: './README.md', content: 'A model.' },
        { path: './original/params.json', content: '{}' },
        { path: './original/consolidated.00.pth', content: 'pickle' },
        { path: './training_args.bin', content: 'pickle' },
      ]),
      archiveOf('weights.tar', [...entriesOf([large], 'assistant/'), { path: 'training_args.bin', content: 'pickle' }]),
    ];
    const id = await api.send(archives);
    expect(await api.finish(id)).toMatchObject({ state: 'complete', error: null });
    const version = await api.register('of-archives', `upload://${id}`);
    expect(version.statusCode, version.body).toBe(201);
    const { source } = version.json<{ base_model_version: { source: { files: object[] } } }>().base_model_version;
    expect(source.files).toEqual(announced(base).map((file) => ({ ...file, etag: null })));
  });
});

describe('a part', () => {
  test('is refused before it is read while the process receives others, and taken afterwards', async () => {
    const { id } = (await api.begin(announced(base))).json<BaseModelUpload>();
    const [part] = api.partsOf(large);
    const before = await contents(app.db, app.dataDir);
    const requests = Array.from({ length: 6 }, () => beginPart(id, part!.bytes));
    await eventually('the parts arrive', async () => (await contents(app.db, app.dataDir)).temporary.length === 6);
    const refused = await api.put(id, part!);
    expect(refused.json()).toMatchObject({ status: 429, code: 'too_many_parts' });
    expect(refused.headers['retry-after']).toBe('2');
    for (const request of requests) request.destroy();
    await eventually('they are removed', async () => (await contents(app.db, app.dataDir)).temporary.length === 0);
    expect(await contents(app.db, app.dataDir)).toEqual(before);
    await eventually('there is room', async () => (await api.put(id, part!)).statusCode === 200);
    await app.request({ method: 'DELETE', url: `/v1/base-model-uploads/${id}` });
  });

  test('that is cut off in the middle leaves nothing, and is sent again', async () => {
    const { id } = (await api.begin(announced(base))).json<BaseModelUpload>();
    const [part] = api.partsOf(large);
    const before = await contents(app.db, app.dataDir);
    const cut = beginPart(id, part!.bytes);
    await eventually('the part arrives', async () => (await contents(app.db, app.dataDir)).temporary.length > 0);
    cut.destroy();
    await eventually('it is removed', async () => (await contents(app.db, app.dataDir)).temporary.length === 0);
    expect(await contents(app.db, app.dataDir)).toEqual(before);
    expect((await api.put(id, part!)).statusCode).toBe(200);
    expect((await api.get(id)).files.find(({ name }) => name === large.name)!.missing[0]!.first).toBe(2);
  });

  test.each([
    [
      'another digest',
      {},
      { 'content-digest': `sha-256=:${sha256(Buffer.from('other'), 'base64')}:` },
      'digest_mismatch',
    ],
    ['a digest of another kind', {}, { 'content-digest': 'md5=:1B2M2Y8AsgTpgAmY7PhCfg==:' }, 'digest_mismatch'],
    ['too few bytes', { bytes: Buffer.alloc(5) }, {}, 'invalid_part'],
    ['too many bytes', { bytes: Buffer.alloc(PART_BYTES + 1) }, {}, 'invalid_part'],
    [
      'too many bytes of an unknown number',
      { bytes: Buffer.alloc(PART_BYTES + 1) },
      { 'content-length': '' },
      'invalid_part',
    ],
    ['a number that the file has not', { number: 9999 }, {}, 'invalid_part'],
  ])('with %s is refused, and nothing of it is stored', async (_what, change, headers, code) => {
    const { id } = (await api.begin(announced(base))).json<BaseModelUpload>();
    const before = await contents(app.db, app.dataDir);
    const answer = await api.put(id, { ...api.partsOf(large)[0]!, ...change }, { ...headers });
    expect(answer.json()).toMatchObject({ status: 422, code });
    expect(await contents(app.db, app.dataDir)).toEqual(before);
    await app.request({ method: 'DELETE', url: `/v1/base-model-uploads/${id}` });
  });

  const PART_SENT_AGAIN =
    'that is sent again with other bytes takes the place of the first; the file is compared as a whole';
  test(PART_SENT_AGAIN, async () => {
    const id = await api.send(base);
    const [part] = api.partsOf(large);
    expect((await api.put(id, part!)).statusCode).toBe(200);
    const other = { ...part!, bytes: Buffer.from(part!.bytes) };
    other.bytes[12_000]! ^= 1;
    expect((await api.put(id, other)).json()).toMatchObject({ sha256: sha256(other.bytes) });
    const reopened = await api.finish(id);
    expect(reopened).toMatchObject({ state: 'open', error: { code: 'digest_mismatch' } });
    expect(reopened.error!.message).toContain(large.name);
    const { missing, parts } = reopened.files.find(({ name }) => name === large.name)!;
    expect(missing).toEqual([{ first: 1, last: parts }]);
    // The verified parts of the other files are not read again.
    const files = await app.db.baseModelUploadFile.findMany({ where: { uploadId: id } });
    expect(files.find(({ name }) => name === 'config.json')!.contents).not.toBeNull();
    for (const again of api.partsOf(large)) await api.put(id, again);
    expect(await api.finish(id)).toMatchObject({ state: 'complete', error: null });
    expect((await api.eventsOf(id)).filter((type) => type !== 'part_received')).toEqual([
      ...['created', 'verifying', 'reopened', 'verifying', 'completed'],
    ]);
  });
});
