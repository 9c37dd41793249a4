import path from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONFIG, createAdapterWorld, good, rawTar, TAR, tarOfFolder, type AdapterWorld } from './support.ts';

let world: AdapterWorld;
let request: AdapterWorld['request'];
beforeAll(async () => {
  world = await createAdapterWorld(['control']);
  request = world.request;
});
afterAll(() => world.app.close());

/** Position of the header of the second file. */
const secondHeader = () => 512 + 512 * Math.ceil(CONFIG.length / 512);

describe('from an archive', () => {
  it.each<[string, () => Promise<Buffer>]>([
    ['files at the top', async () => rawTar(good())],
    ['files in ./', () => tarOfFolder(world.fixture('control').adapter)],
    ['files in one folder', () => tarOfFolder(path.dirname(world.fixture('control').adapter), ['adapter'])],
    ['with README and manifest', async () => rawTar([...good(), { path: 'README.md', content: '# mine' }])],
  ])('takes %s', async (_what, archive) => {
    const { id } = await world.ensureAdapter('archives');
    const response = await world.uploadTar(id, await archive());
    expect(response.statusCode, response.body).toBe(201);
    const version = response.json();
    expect(response.headers.location).toBe(`/v1/adapters/${id}/versions/${version.id}`);
    expect((await request({ url: response.headers.location })).json()).toEqual(version);
    expect((await request({ url: `/v1/adapters/${id}` })).json().latest_version).toEqual(version);
  });

  it('gives its versions numbers without gaps when many come at once', async () => {
    const { id } = await world.createAdapter('many');
    await Promise.all(Array.from({ length: 5 }, () => world.uploadTar(id, rawTar(good()))));
    const { data } = (await request({ url: `/v1/adapters/${id}/versions` })).json();
    expect(data.map(({ number }: { number: number }) => number).sort()).toEqual([1, 2, 3, 4, 5]);
  });

  it('is answered once for an Idempotency-Key', async () => {
    const { id } = await world.createAdapter('idempotent');
    const headers = { 'idempotency-key': 'version-1' };
    const first = await world.uploadTar(id, rawTar(good()), headers);
    const second = await world.uploadTar(id, rawTar(good()), headers);
    expect(second.headers['idempotency-replayed']).toBe('true');
    expect(second.json()).toEqual(first.json());
    expect((await request({ url: `/v1/adapters/${id}/versions` })).json().data).toHaveLength(1);
    const together = await world.app.db.$queryRaw`
      SELECT v.id FROM adapter_versions v JOIN idempotency_records r ON r.xmin = v.xmin AND r.key = 'version-1'`;
    expect(together, 'the answer and the version come from one transaction').toEqual([{ id: first.json().id }]);
  });

  const archive = (status: number, code: string, detail: RegExp) => ({
    status,
    code,
    detail: expect.stringMatching(detail),
  });
  const bad: [string, () => Buffer, object][] = [
    [
      'a path that leaves the folder',
      () => rawTar([...good(), { path: '../evil.txt', content: 'x' }]),
      archive(422, 'invalid_archive', /evil/),
    ],
    [
      'a good name that leaves the folder',
      () => rawTar([{ path: '../adapter_config.json', content: CONFIG }]),
      archive(422, 'invalid_archive', /\.\./),
    ],
    [
      'an absolute path',
      () => rawTar([{ path: '/adapter_config.json', content: CONFIG }]),
      archive(422, 'invalid_archive', /absolute/),
    ],
    [
      'a symbolic link',
      () => rawTar([{ path: 'adapter_config.json', type: 'SymbolicLink', linkpath: '/etc/passwd' }]),
      archive(422, 'invalid_archive', /SymbolicLink/),
    ],
    [
      'a hard link',
      () => rawTar([...good(), { path: 'README.md', type: 'Link', linkpath: 'adapter_config.json' }]),
      archive(422, 'invalid_archive', /Link/),
    ],
    [
      'a device',
      () => rawTar([{ path: 'adapter_config.json', type: 'CharacterDevice' }]),
      archive(422, 'invalid_archive', /CharacterDevice/),
    ],
    ['a pipe', () => rawTar([{ path: 'adapter_config.json', type: 'FIFO' }]), archive(422, 'invalid_archive', /FIFO/)],
    [
      'another file',
      () => rawTar([...good(), { path: 'optimizer.pt', content: 'pickle' }]),
      archive(422, 'invalid_archive', /optimizer\.pt/),
    ],
    [
      'a pickle',
      () => rawTar([good()[0]!, { path: 'a/adapter_model.bin', content: 'pickle' }]),
      archive(422, 'invalid_archive', /adapter_model\.bin.*safe_serialization=True/),
    ],
    [
      'a deeper folder',
      () => rawTar(good().map((entry) => ({ ...entry, path: `a/b/${entry.path}` }))),
      archive(422, 'invalid_archive', /a\/b/),
    ],
    [
      'two folders',
      () => rawTar(good().map((entry, i) => ({ ...entry, path: `f${i}/${entry.path}` }))),
      archive(422, 'invalid_archive', /one folder/),
    ],
    ['a file twice', () => rawTar([...good(), ...good()]), archive(422, 'invalid_archive', /twice/)],
    [
      'too many entries',
      () => rawTar(Array.from({ length: 17 }, () => ({ path: 'a/', type: 'Directory' as const }))),
      archive(422, 'invalid_archive', /16/),
    ],
    [
      'no weights',
      () => rawTar(good().slice(0, 1)),
      archive(422, 'invalid_adapter', /adapter_model\.safetensors is missing/),
    ],
    [
      'a file cut short',
      () => rawTar(good()).subarray(0, 1500),
      archive(422, 'invalid_archive', /complete tar archive/),
    ],
    [
      'a damaged header',
      () => rawTar(good()).fill(0x41, secondHeader(), secondHeader() + 200),
      archive(422, 'invalid_archive', /complete tar archive/),
    ],
    [
      'a damaged first header before a good file',
      () =>
        rawTar([
          { path: './', type: 'Directory' as const },
          { path: 'README.md', content: Buffer.alloc(200_000) },
          ...good(),
        ]).fill(0x41, 148, 149),
      archive(422, 'invalid_archive', /complete tar archive/),
    ],
    ['a compressed archive', () => gzipSync(rawTar(good())), archive(422, 'invalid_archive', /compressed/)],
    ['something else', () => Buffer.from('hello'), archive(422, 'invalid_archive', /complete tar archive/)],
    ['nothing', () => Buffer.alloc(0), archive(422, 'invalid_archive', /complete tar archive/)],
    [
      'a file over its limit',
      () => rawTar([...good(), { path: 'README.md', content: Buffer.alloc((1 << 20) + 1) }]),
      archive(413, 'adapter_too_large', /README\.md/),
    ],
    [
      'weights said to be over the limit',
      () => rawTar([{ path: 'adapter_model.safetensors', size: 3 * 2 ** 30 }]),
      archive(413, 'adapter_too_large', /safetensors/),
    ],
  ];
  it.each(bad)('refuses %s', async (_what, make, expected) => {
    const { id } = await world.ensureAdapter('archives');
    await world.expectRefusal(() => world.uploadTar(id, make()), expected);
    const streamed = make();
    const pieces = Array.from({ length: Math.ceil(streamed.length / 1000) }, (_, i) =>
      streamed.subarray(i * 1000, i * 1000 + 1000),
    );
    await world.expectRefusal(() => world.uploadTar(id, Readable.from(pieces)), expected);
  });

  it.each([
    [
      'no base model version',
      { query: '', headers: TAR, payload: Buffer.alloc(1024) },
      { status: 400, code: 'invalid_request' },
    ],
    [
      'an unknown base model version',
      { query: '?base_model_version=v9', headers: TAR, payload: Buffer.alloc(1024) },
      { status: 422, code: 'base_model_version_not_found' },
    ],
    [
      'another content type',
      { query: '?base_model_version=control', headers: { 'content-type': 'application/zip' }, payload: 'x' },
      { status: 415, code: 'unsupported_media_type' },
    ],
    [
      'an unknown field',
      {
        query: '',
        headers: { 'content-type': 'application/json' },
        payload: '{"base_model_version":"control","path":"/x","x":1}',
      },
      { status: 400, code: 'invalid_request' },
    ],
  ])('refuses %s', async (_what, { query, headers, payload }, expected) => {
    const { id } = await world.ensureAdapter('archives');
    const url = `/v1/adapters/${id}/versions${query}`;
    await world.expectRefusal(() => request({ method: 'POST', url, headers, payload }), expected);
  });
});
