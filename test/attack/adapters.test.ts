import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { uploadAdapterVersion } from '../../openapi/clients/typescript/src/index.ts';
import { hostileAdapters, soundAdapter, type AdapterFiles } from '../integration/support/hostile-adapters.ts';
import { attack, attackTogether } from './support/attack.ts';
import { record, TAR_END, tarEntry, whole, type TarEntry } from './support/bodies.ts';
import { startAttackedService, type AttackedService } from './support/service.ts';

let service: AttackedService;
beforeAll(async () => {
  service = await startAttackedService();
});
afterAll(() => service?.stop());

const archiveOf = (files: AdapterFiles) =>
  Buffer.concat([...Object.entries(files).map(([path, content]) => tarEntry({ path, content })), TAR_END]);

const request = (archive: Uint8Array) => ({
  path: service.versionsPath,
  headers: { authorization: `Bearer ${service.tenantKey}`, 'content-type': 'application/x-tar' },
  body: whole(archive),
});

describe('an adapter with', () => {
  test.each(Object.entries(hostileAdapters))('%s', async (name, { files, refusal }) => {
    const answer = await attack(service, name, request(archiveOf(files())));
    expect(answer.body).toMatchObject({ code: 'invalid_adapter', detail: expect.stringMatching(refusal) });
  });

  test('each of these faults, all small ones at once', async () => {
    const archives = Object.values(hostileAdapters).map(({ files }) => archiveOf(files()));
    const small = archives.filter(({ length }) => length < 10_000_000);
    expect(small.length).toBeGreaterThan(12);
    const answers = await attackTogether(service, `${small.length} hostile adapters at once`, small.map(request));
    expect(new Set(answers.map(({ body }) => body.code))).toEqual(new Set(['invalid_adapter']));
  });
});

describe('an archive', () => {
  const sound = () => Object.entries(soundAdapter()).map(([path, content]): TarEntry => ({ path, content }));
  const bomb = () => gzipSync(gzipSync(Buffer.alloc(64 << 20)));
  const extended = (...records: [string, string][]) =>
    tarEntry({ path: 'PaxHeader', type: 'ExtendedHeader', content: records.map(([k, v]) => record(k, v)).join('') });
  const archive = (...entries: (TarEntry | Buffer)[]) =>
    Buffer.concat([...entries.map((entry) => (Buffer.isBuffer(entry) ? entry : tarEntry(entry))), TAR_END]);
  const weights = (path: string): TarEntry => ({
    ...sound().find(({ path: name }) => name.endsWith('.safetensors'))!,
    path,
  });
  const link = (type: TarEntry['type'], linkpath = '/etc/passwd'): TarEntry => ({
    path: 'adapter_config.json',
    type,
    linkpath,
  });

  test.each<[string, string, () => Buffer]>([
    ['that is a gzip of a gzip', 'invalid_archive', bomb],
    [
      'whose weights are a gzip of a gzip',
      'invalid_adapter',
      () => archive(sound()[0]!, { path: 'adapter_model.safetensors', content: bomb() }),
    ],
    ['within an archive', 'invalid_archive', () => archive({ path: 'adapter.tar', content: archive(...sound()) })],
    ['with a symbolic link', 'invalid_archive', () => archive(link('SymbolicLink'))],
    ['with a hard link', 'invalid_archive', () => archive(...sound(), { ...link('Link'), path: 'README.md' })],
    ['with a device', 'invalid_archive', () => archive(link('CharacterDevice'))],
    ['with a disk', 'invalid_archive', () => archive(link('BlockDevice'))],
    ['with a pipe', 'invalid_archive', () => archive(link('FIFO'))],
    [
      'with a file of a terabyte of holes',
      'invalid_archive',
      () => archive({ ...weights('adapter_model.safetensors'), type: 'GNUDumpDir' }),
    ],
    [
      'with a sparse file',
      'invalid_archive',
      () => archive(sound()[0]!, sparse(), weights('GNUSparseFile.0/adapter_model.safetensors')),
    ],
    [
      'whose extended header says another size',
      'invalid_archive',
      () => archive(extended(['size', String(2 ** 40)]), ...sound()),
    ],
    [
      'whose extended header says a negative size',
      'invalid_archive',
      () => archive(extended(['size', '-512']), ...sound()),
    ],
    [
      'whose extended header says a size in another way',
      'invalid_archive',
      () => archive(extended(['size', '1e3']), ...sound()),
    ],
    [
      'whose extended header links a file',
      'invalid_archive',
      () => archive(extended(['linkpath', '/etc/passwd']), link('SymbolicLink')),
    ],
    ['with a file twice', 'invalid_archive', () => archive(...sound(), ...sound())],
    [
      'with a file twice by its long name',
      'invalid_archive',
      () => archive(...sound(), extended(['path', 'adapter_config.json']), weights('x')),
    ],
    ['with a name in other letters', 'invalid_archive', () => archive(weights('аdapter_model.safetensors'))],
    [
      'with a name that ends with a NUL',
      'invalid_archive',
      () => archive(extended(['path', 'adapter_model.safetensors\0.txt']), weights('x')),
    ],
    [
      'with a name that turns its direction',
      'invalid_archive',
      () => archive(weights('adapter\u202e_model.safetensors')),
    ],
    ['with a name in upper case', 'invalid_archive', () => archive(weights('ADAPTER_MODEL.SAFETENSORS'))],
    ['with a path by backslashes', 'invalid_archive', () => archive(weights('..\\adapter_model.safetensors'))],
    ['with a path that climbs', 'invalid_archive', () => archive(weights('a/../../adapter_model.safetensors'))],
    ['with an absolute path', 'invalid_archive', () => archive(weights('/adapter_model.safetensors'))],
    [
      'with a folder in the name of a file',
      'invalid_archive',
      () =>
        archive(
          { path: 'adapter_config.json/', type: 'Directory' },
          weights('adapter_config.json/adapter_model.safetensors'),
          weights('adapter_model.safetensors'),
        ),
    ],
  ])('%s', async (name, code, body) => {
    const answer = await attack(service, `an archive ${name}`, request(body()));
    expect(answer.body).toMatchObject({ code });
  });

  const sparse = () =>
    extended(
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.name', 'adapter_model.safetensors'],
      ['GNU.sparse.realsize', String(2 ** 40)],
    );
});

test('a sound adapter is still taken after all that', async () => {
  const version = await uploadAdapterVersion({
    client: service.tenant,
    path: { id: service.adapterId },
    query: { base_model_version: '1' },
    body: new Blob([archiveOf(soundAdapter())]),
  });
  expect(version).toMatchObject({ number: 1, rank: expect.any(Number) });
});
