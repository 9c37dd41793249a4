import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GOLDEN, rawTar, type RawEntry } from '../adapters/support.ts';
import { createTestApp, type TestApp } from '../support/index.ts';
import { archiveOf, entriesOf, filesOf, startVerifier, uploader, type TestFile } from './support.ts';

/** Largest number of uploads at a time. */
const MOST_UPLOADS = 4;

let app: TestApp;
let api: ReturnType<typeof uploader>;
let verifier: ReturnType<typeof startVerifier>;
/** Files of a model that fit into one part each. */
let small: TestFile[];

beforeAll(async () => {
  app = await createTestApp({
    env: { READAPT_BASE_UPLOAD_BYTES: '50000000', READAPT_BASE_UPLOADS: String(MOST_UPLOADS) },
  });
  api = uploader(app);
  verifier = startVerifier(app);
  small = await filesOf(path.join(GOLDEN, 'broken/control/base'));
  await app.request({ method: 'POST', url: '/v1/base-models', payload: { name: 'assistant' } });
});
afterAll(async () => {
  await verifier?.stop();
  await app?.close();
});

const longName = (name: string): RawEntry => ({ path: '././@LongLink', type: 'NextFileHasLongPath', content: name });
const sparseHeader: RawEntry = {
  path: 'PaxHeaders/model.safetensors',
  type: 'ExtendedHeader',
  content: '22 GNU.sparse.major=1\n39 GNU.sparse.name=model.safetensors\n',
};

describe('what is refused before it is sent', () => {
  const config = { name: 'config.json', size: 2, sha256: '0'.repeat(64) };
  const weights = { name: 'model.safetensors', size: 2, sha256: '0'.repeat(64) };
  test.each([
    [
      'a pickle',
      [config, weights, { ...config, name: 'pytorch_model.bin' }],
      { status: 422, code: 'source_refused' },
      /pytorch_model\.bin is a pickle/,
    ],
    [
      'another file',
      [config, weights, { ...config, name: 'README.md' }],
      { status: 422, code: 'source_refused' },
      /README\.md is not a file/,
    ],
    ['a file twice', [config, config, weights], { status: 422, code: 'source_refused' }, /config\.json is named twice/],
    ['no weights', [config], { status: 422, code: 'source_refused' }, /no \*\.safetensors/],
    [
      'a path',
      [config, { ...weights, name: '../model.safetensors' }],
      { status: 400, code: 'invalid_request' },
      /name/,
    ],
    [
      'too much',
      [config, { ...weights, size: 50_000_001 }],
      { status: 413, code: 'upload_too_large' },
      /READAPT_BASE_UPLOAD_BYTES/,
    ],
  ])('%s', async (_what, files, problem, message) => {
    const answer = await api.begin(files);
    expect(answer.json()).toMatchObject({ ...problem, detail: expect.stringMatching(message) });
  });

  test('more uploads at a time than the setting allows', async () => {
    const unfinished = await app.db.baseModelUpload.count({ where: { state: { in: ['open', 'verifying'] } } });
    const began = [];
    for (let more = unfinished + 1; more < MOST_UPLOADS; more++) began.push(await api.begin([config, weights]));
    began.push(...(await Promise.all([1, 2, 3].map(() => api.begin([config, weights])))));
    try {
      const last = began.slice(-3).map(({ statusCode }) => statusCode);
      expect(last.sort()).toEqual([201, 409, 409]);
      const refused = began.find(({ statusCode }) => statusCode === 409)!;
      expect(refused.json()).toMatchObject({ code: 'too_many_base_model_uploads', limit: MOST_UPLOADS });
    } finally {
      const ids = began.map((answer) => answer.json<{ id?: string }>().id ?? '');
      await app.db.baseModelUpload.deleteMany({ where: { id: { in: ids } } });
    }
  });
});

describe('what is refused after it has arrived, by name', () => {
  const weights = () => small.find(({ name }) => name === 'model.safetensors')!;
  const rest = () => small.filter((file) => file !== weights());
  test.each<[string, () => TestFile[], RegExp]>([
    [
      'a link',
      () => [
        archiveOf('a.tar', [...entriesOf(small), { path: 'x.json', type: 'SymbolicLink', linkpath: '/etc/passwd' }]),
      ],
      /"x\.json" of a\.tar is of type SymbolicLink/,
    ],
    [
      'a device',
      () => [archiveOf('a.tar', [...entriesOf(small), { path: 'zero.json', type: 'CharacterDevice' }])],
      /zero\.json/,
    ],
    [
      'an absolute path',
      () => [archiveOf('a.tar', [...entriesOf(small), { path: '/etc/x.json', content: '{}' }])],
      /"\/etc\/x\.json" of a\.tar is an absolute path/,
    ],
    [
      'a path out of the archive',
      () => [archiveOf('a.tar', [...entriesOf(small), { path: '../x.json', content: '{}' }])],
      /leads out of the archive/,
    ],
    [
      'weights that are pickles alone',
      () => [archiveOf('a.tar', [...entriesOf(rest()), { path: 'pytorch_model.bin', content: '{}' }])],
      /pytorch_model\.bin, a pickle/,
    ],
    [
      'a name with control characters',
      () => [archiveOf('a.tar', [...entriesOf(small), longName('a\n\u0001b.json'), { path: 'b.json', content: '{}' }])],
      /"a\\n\\u0001b\.json" of a\.tar has a name .* control characters/,
    ],
    [
      'a sparse file',
      () => [archiveOf('a.tar', [...entriesOf(rest()), sparseHeader, ...entriesOf([weights()], 'GNUSparseFile.1/')])],
      /"model\.safetensors" is stored as a sparse file/,
    ],
    [
      'more files than a model has, in all archives together',
      () => {
        const many = Array.from({ length: 1100 }, (_, index) => index);
        const half = (from: number) => many.map((index) => ({ path: `${from + index}.json` }));
        return [archiveOf('a.tar', half(0)), archiveOf('b.tar', half(5000)), archiveOf('c.tar', entriesOf(small))];
      },
      /in b\.tar.* more than 2000/,
    ],
    [
      'shards of which one is missing',
      () => {
        const index = { weight_map: { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' } };
        const files = [
          { name: 'model-00001-of-00002.safetensors', content: weights().content },
          { name: 'model.safetensors.index.json', content: Buffer.from(JSON.stringify(index)) },
        ];
        return [archiveOf('a.tar', entriesOf([...rest(), ...files]))];
      },
      /"model-00002-of-00002\.safetensors", and no such file was sent/,
    ],
    [
      'an entry that is there twice',
      () => [archiveOf('a.tar', [...entriesOf(small), ...entriesOf([weights()])])],
      /"model\.safetensors" of a\.tar occurs twice/,
    ],
    [
      'two folders',
      () => [archiveOf('a.tar', [...entriesOf(rest(), 'a/'), ...entriesOf([weights()], 'b/')])],
      /in another folder/,
    ],
    [
      'a file in two archives',
      () => [archiveOf('a.tar', entriesOf(small)), archiveOf('b.tar', entriesOf([weights()]))],
      /model\.safetensors is there twice/,
    ],
    [
      'an archive that is cut off',
      () => [{ name: 'a.tar', content: rawTar(entriesOf(small)).subarray(0, 10_000) }],
      /not a complete tar archive/,
    ],
    ['archives without weights', () => [archiveOf('a.tar', entriesOf(rest()))], /no \*\.safetensors/],
    [
      'weights that are none',
      () => [...rest(), { name: weights().name, content: weights().content.subarray(0, -1) }],
      /model\.safetensors is no safetensors file/,
    ],
    [
      'a config.json of no decoder',
      () => [weights(), { name: 'config.json', content: Buffer.from('{"model_type":"bert"}') }],
      /hidden_size/,
    ],
  ])('%s', async (_what, files, message) => {
    const id = await api.send(files());
    const failed = await api.finish(id);
    expect(failed).toMatchObject({ state: 'failed', error: { message: expect.stringMatching(message) } });
    expect((await api.eventsOf(id)).at(-1)).toBe('failed');
    expect((await api.register('never', `upload://${id}`)).json()).toMatchObject({
      status: 422,
      code: 'source_not_found',
    });
    expect((await api.complete(id)).json()).toMatchObject({ status: 409, code: 'base_model_upload_not_open' });
    expect((await app.request({ method: 'DELETE', url: `/v1/base-model-uploads/${id}` })).statusCode).toBe(204);
  });
});
