import path from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { Pax } from 'tar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bearer } from '../support/index.ts';
import { openConnection } from '../support/raw-connection.ts';
import {
  CONFIG,
  createAdapterWorld,
  good,
  rawTar,
  TAR,
  tarOfFolder,
  type AdapterWorld,
  type RawEntry,
} from './support.ts';

let world: AdapterWorld;
let request: AdapterWorld['request'];
beforeAll(async () => {
  world = await createAdapterWorld(['control']);
  request = world.request;
});
afterAll(() => world.app.close());

/** PAX header that describes the next entry. */
const pax = (fields: ConstructorParameters<typeof Pax>[0], isGlobal = false) => new Pax(fields, isGlobal).encode();
const LONG_LINK = '././@LongLink';
const longName = (path: string): RawEntry => ({ path: LONG_LINK, type: 'NextFileHasLongPath', content: `${path}\0` });
const padding = (bytes: number, fill = 0) => Buffer.alloc(bytes, fill);
const wholeTar = () => rawTar(good());
const withoutEnd = (archive: Buffer) => archive.subarray(0, -1024);

/**
 * Gzip of a tar whose original file name, stored in the gzip header, puts `ustar` where a tar header has it, and a
 * readable file name.
 */
function gzipLikeTar(): Buffer {
  const zipped = gzipSync(rawTar(good()));
  const name = Buffer.from(`${'x'.repeat(247)}ustar${'x'.repeat(300)}\0`);
  return Buffer.concat([zipped.subarray(0, 3), Buffer.from([0x08]), zipped.subarray(4, 10), name, zipped.subarray(10)]);
}

/** Offset of the second file's header. */
const secondHeader = () => 512 + 512 * Math.ceil(CONFIG.length / 512);

/** Archive with another size in its first header, as a binary number, the format for sizes over 8 GiB. */
function withSize(archive: Buffer, size: number): Buffer {
  const header = archive.subarray(0, 512);
  header.fill(size < 0 ? 0xff : 0, 124, 136);
  header[124] = size < 0 ? 0xff : 0x80;
  header.writeInt32BE(size, 132);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return archive;
}

describe('from an archive', () => {
  it.each<[string, () => Promise<Buffer>]>([
    ['files at the top', async () => rawTar(good())],
    ['files in ./', () => tarOfFolder(world.fixture('control').adapter)],
    ['files in one folder', () => tarOfFolder(path.dirname(world.fixture('control').adapter), ['adapter'])],
    ['with README and manifest', async () => rawTar([...good(), { path: 'README.md', content: '# mine' }])],
    ['padded to the records of tar', async () => Buffer.concat([wholeTar(), padding(10_240)])],
    ['padded with almost 1 MiB', async () => Buffer.concat([wholeTar(), padding((1 << 20) - 1024)])],
    ['without the zeros at its end', async () => withoutEnd(wholeTar())],
    [
      'with extended headers',
      async () =>
        Buffer.concat([
          pax({ comment: 'of git' }, true),
          ...good().flatMap((entry) => [
            pax({ path: `f/${entry.path}`, mtime: new Date(1.5) }),
            withoutEnd(rawTar([entry])),
          ]),
          padding(1024),
        ]),
    ],
    ['with long names by GNU tar', async () => rawTar(good().flatMap((entry) => [longName(`./${entry.path}`), entry]))],
  ])('takes %s', async (_what, archive) => {
    const { id } = await world.ensureAdapter('archives');
    const response = await world.uploadTar(id, await archive());
    expect(response.statusCode, response.body).toBe(201);
    const version = response.json();
    expect(response.headers.location).toBe(`/v1/adapters/${id}/versions/${version.id}`);
    expect((await request({ url: response.headers.location })).json()).toEqual(version);
    expect((await request({ url: `/v1/adapters/${id}` })).json().latest_version).toEqual(version);
  });

  it('takes it as bytes of no type', async () => {
    const { id } = await world.ensureAdapter('archives');
    const url = `/v1/adapters/${id}/versions/upload?base_model_version=control`;
    const headers = { 'content-type': 'application/octet-stream' };
    const answer = await request({ method: 'POST', url, payload: wholeTar(), headers });
    expect(answer.statusCode, answer.body).toBe(201);
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
    ['a gzip that looks like a tar', gzipLikeTar, archive(422, 'invalid_archive', /compressed with gzip/)],
    [
      'a zstd that looks like a tar',
      () => {
        const bytes = wholeTar();
        bytes.set([0x28, 0xb5, 0x2f, 0xfd]);
        return bytes;
      },
      archive(422, 'invalid_archive', /compressed with zstd/),
    ],
    [
      'bytes after its end',
      () => Buffer.concat([wholeTar(), Buffer.from('x')]),
      archive(422, 'invalid_archive', /after the end of the archive/),
    ],
    [
      'a second archive after its end',
      () => Buffer.concat([wholeTar(), wholeTar()]),
      archive(422, 'invalid_archive', /after the end of the archive/),
    ],
    [
      '2 MiB of zeros after its end',
      () => Buffer.concat([wholeTar(), padding(2 << 20)]),
      archive(422, 'invalid_archive', /after the end of the archive.*1048576 zeros/),
    ],
    [
      'many extended headers',
      () => Buffer.concat([...Array.from({ length: 65 }, () => pax({ comment: 'x' })), wholeTar()]),
      archive(422, 'invalid_archive', /more than 64 headers/),
    ],
    [
      'a large extended header',
      () => Buffer.concat([pax({ comment: 'x'.repeat(70_000) }), wholeTar()]),
      archive(422, 'invalid_archive', /extended header has 7\d{4} bytes, expected at most 65536/),
    ],
    [
      'a long path',
      () => rawTar([longName(`${'d'.repeat(5000)}/adapter_config.json`), ...good()]),
      archive(422, 'invalid_archive', /"d{100}…" has a path of 5020 characters, expected at most 1024/),
    ],
    [
      'two sizes of one file',
      () => Buffer.concat([pax({ size: CONFIG.length + 512 }), wholeTar()]),
      archive(422, 'invalid_archive', /adapter_config\.json.*bytes by its header and \d+ by its extended header/),
    ],
    [
      'a path for all files',
      () => Buffer.concat([pax({ path: 'adapter_config.json' }, true), wholeTar()]),
      archive(422, 'invalid_archive', /global header/),
    ],
    ['a negative size', () => withSize(wholeTar(), -512), archive(422, 'invalid_archive', /complete tar archive/)],
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
      { query: '/upload', headers: TAR, payload: Buffer.alloc(1024) },
      { status: 400, code: 'invalid_request' },
    ],
    [
      'an unknown base model version',
      { query: '/upload?base_model_version=v9', headers: TAR, payload: Buffer.alloc(1024) },
      { status: 422, code: 'base_model_version_not_found' },
    ],
    [
      'another content type',
      { query: '/upload?base_model_version=control', headers: { 'content-type': 'application/zip' }, payload: 'x' },
      { status: 415, code: 'unsupported_media_type' },
    ],
    [
      'an archive in place of a folder',
      { query: '', headers: TAR, payload: Buffer.alloc(1024) },
      { status: 415, code: 'unsupported_media_type' },
    ],
    [
      'a folder in place of an archive',
      {
        query: '/upload?base_model_version=control',
        headers: { 'content-type': 'application/json' },
        payload: '{"base_model_version":"control","path":"/x"}',
      },
      { status: 415, detail: expect.stringContaining('application/x-tar or application/octet-stream') },
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

  it('tells a client that is still sending why it is refused, and the connection can be used again', async () => {
    const { id } = await world.ensureAdapter('archives');
    const connection = await openConnection(world.app.app);
    const url = `/v1/adapters/${id}/versions/upload?base_model_version=control`;
    const head = (length: number) => ({ ...bearer(world.acme.key), ...TAR, 'content-length': length });
    connection.post(url, head(16 << 20));
    const sent = (async () => {
      for (let i = 0; i < 16; i++) await connection.write(Buffer.alloc(1 << 20, 'x'));
    })();
    expect(await connection.answer()).toMatchObject({ status: 422, body: { code: 'invalid_archive' } });
    await sent;
    const archive = wholeTar();
    connection.post(url, head(archive.length));
    await connection.write(archive);
    expect(await connection.answer()).toMatchObject({ status: 201 });
    connection.close();
  });
});
