import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assignSplit } from '../../../core/formats/dataset/dataset-split.ts';
import { heldBytes } from '../../garbage.ts';
import {
  bearer,
  createTestApp,
  createTestKey,
  createTestTenant,
  type TestApp,
  type TestTenant,
} from '../support/index.ts';
import { openConnection } from '../support/raw-connection.ts';
import { contents } from '../support/store-contents.ts';

let app: TestApp;
let acme: TestTenant;
let other: TestTenant;

beforeAll(async () => {
  app = await createTestApp();
  acme = await createTestTenant(app.db, 'acme');
  other = await createTestTenant(app.db, 'other');
});
afterAll(() => app.close());

const NDJSON = { 'content-type': 'application/x-ndjson' };
const line = (row: object) => `${JSON.stringify(row)}\n`;
const rows = (count: number, split?: (i: number) => string) =>
  Array.from({ length: count }, (_, i) =>
    line({ prompt: `question ${i}: `, completion: `answer ${i}`, ...(split ? { split: split(i) } : {}) }),
  ).join('');
const thirds = (i: number) => ['training', 'search', 'gate'][i % 3]!;

function upload(
  name: string,
  payload: string | Buffer | Readable,
  options: { key?: string; query?: string; headers?: object } = {},
) {
  return app.request({
    method: 'POST',
    url: `/v1/datasets?name=${name}${options.query ?? ''}`,
    key: options.key ?? acme.key,
    headers: { ...NDJSON, ...options.headers },
    payload,
  });
}

async function storedRows(digest: string) {
  const text = await readFile(await app.deps.artifacts.localPath(digest), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((row) => JSON.parse(row) as Record<string, string>);
}

describe('upload', () => {
  it('stores rows with the split that they name', async () => {
    const response = await upload('named', rows(9, thirds));
    expect(response.statusCode, response.body).toBe(201);
    const { gate_advice: advice, ...dataset } = response.json();
    // The margin is a gate's default.
    expect(advice).toMatchObject({ rows: 3, margin: 0.03, decidable: 'no' });
    expect(dataset).toMatchObject({
      tenant_id: acme.id,
      name: 'named',
      rows: 9,
      splits: { training: 3, search: 3, gate: 3 },
    });
    expect(response.headers.location).toBe(`/v1/datasets/${dataset.id}`);
    const stored = await storedRows(dataset.digest);
    expect(stored[4]).toEqual({ prompt: 'question 4: ', completion: 'answer 4', split: 'search' });
    expect(stored).toHaveLength(9);
    const fetched = await app.request({ url: `/v1/datasets/${dataset.id}`, key: acme.key });
    expect(fetched.json()).toEqual(dataset);
    expect(fetched.headers.etag).toBeDefined();
    const event = await app.db.event.findFirstOrThrow({ where: { subjectId: dataset.id } });
    expect(event).toMatchObject({ tenantId: acme.id, type: 'dataset.created' });
    expect(await app.db.artifact.findUnique({ where: { digest: dataset.digest } })).toMatchObject({ kind: 'dataset' });
  });

  it('counts the gate rows of each slice, unless there are too many slices', async () => {
    const sliced = (count: number, split: string, slices: (i: number) => string[]) =>
      Array.from({ length: count }, (_, i) =>
        JSON.stringify({ prompt: `${split} ${i}`, completion: 'x', split, slices: slices(i) }),
      );
    const held = sliced(2, 'search', () => ['searched']);
    const few = [...held, ...sliced(3, 'gate', (i) => ['b', 'b', `a${i % 2}`]), ...sliced(1, 'gate', () => [])];
    const response = await upload('sliced', few.join('\n'));
    expect(response.json()).toMatchObject({ splits: { gate: 4 }, gate_slices: { a0: 2, a1: 1, b: 3 } });
    const most = await upload('sliced-most', [...held, ...sliced(1000, 'gate', (i) => [`s${i}`])].join('\n'));
    expect(Object.keys(most.json().gate_slices)).toHaveLength(1000);
    const many = await upload('sliced-much', [...held, ...sliced(1001, 'gate', (i) => [`s${i}`])].join('\n'));
    expect(many.json()).toMatchObject({ gate_slices: null });
  });

  it('says of a dataset whose rows have no answers that it is of prompts alone, and refuses some without', async () => {
    const splits = ['training', 'search', 'gate'];
    const prompts = splits.map((split, i) => ({ prompt: `question ${i}`, split }));
    const chat = { messages: [{ role: 'user', content: 'question' }], split: 'gate' };
    const jsonl = (lines: readonly object[]) => lines.map((line) => JSON.stringify(line)).join('\n');
    const response = await upload('prompts', jsonl([...prompts, chat]));
    expect(response.json()).toMatchObject({ prompts_only: true, splits: { training: 1, search: 1, gate: 2 } });
    expect(await storedRows(response.json().digest)).toEqual([...prompts, chat]);
    const answered = prompts.map((row) => ({ ...row, completion: 'answer' }));
    expect((await upload('answers', jsonl(answered))).json()).toMatchObject({ prompts_only: false });
    const mixed = await upload('mixed', jsonl([...answered, chat]));
    expect(mixed.statusCode).toBe(422);
    expect(mixed.json()).toMatchObject({
      ...{ code: 'invalid_dataset', bad_lines: 1 },
      lines: [{ line: 4, reason: expect.stringContaining('has no answer (a completion') }],
    });
  });

  it('accepts the names train, validation and test, and stores them as training, search and gate', async () => {
    const response = await upload(
      'aliases',
      rows(9, (i) => ['train', 'validation', 'test'][i % 3]!),
    );
    expect(response.json()).toMatchObject({ splits: { training: 3, search: 3, gate: 3 } });
    const stored = await storedRows(response.json().digest);
    expect(stored.slice(0, 3).map(({ split }) => split)).toEqual(['training', 'search', 'gate']);
  });

  it('stores conversations and slices, and deals equal questions out together', async () => {
    const chat = (question: string, answer: string) => ({
      messages: [
        { role: 'user', content: question },
        { role: 'assistant', content: answer },
      ],
      slices: ['short'],
    });
    const all = Array.from({ length: 60 }, (_, i) => chat(`question ${i % 30}`, `answer ${i}`));
    const response = await upload('chats', all.map(line).join(''));
    expect(response.statusCode, response.body).toBe(201);
    expect(response.json()).toMatchObject({ rows: 60 });
    const stored = await storedRows(response.json().digest);
    expect(stored.map(({ split: _, ...row }) => row)).toEqual(all);
    stored.forEach(({ split }, i) => expect(split).toBe(stored[(i + 30) % 60]!.split));
  });

  it('takes a dataset without training rows: its adapters are carried over without training', async () => {
    const response = await upload(
      'held-out',
      rows(6, (i) => ['gate', 'search'][i % 2]!),
    );
    expect(response.statusCode, response.body).toBe(201);
    expect(response.json()).toMatchObject({ splits: { training: 0, search: 3, gate: 3 } });
  });

  it('deals rows without a split out by their prompt, the same each time', async () => {
    const response = await upload('unnamed', rows(400));
    const { splits, digest } = response.json();
    expect(splits.training + splits.search + splits.gate).toBe(400);
    expect(splits.training).toBeGreaterThan(290);
    expect(splits.training).toBeLessThan(350);
    expect(Math.min(splits.search, splits.gate)).toBeGreaterThan(20);
    for (const row of await storedRows(digest)) expect(row.split).toBe(assignSplit(row.prompt!));
    const again = await upload('unnamed-again', rows(400));
    expect(again.json().digest).toBe(digest);
  });

  it('reads rows that are cut anywhere, the last without a line feed', async () => {
    const bytes = Buffer.from(rows(6, thirds).replace('answer 1', 'señor 🦉').trimEnd());
    const pieces = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, i) => bytes.subarray(i * 7, i * 7 + 7));
    const response = await upload('pieces', Readable.from(pieces));
    expect(response.statusCode, response.body).toBe(201);
    expect((await storedRows(response.json().digest))[1]!.completion).toBe('señor 🦉');
  });

  it('is answered once for an Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'dataset-1' };
    const first = await upload('once', rows(9, thirds), { headers });
    const second = await upload('once', rows(9, thirds), { headers });
    expect(second.statusCode).toBe(201);
    expect(second.headers['idempotency-replayed']).toBe('true');
    expect(second.json()).toEqual(first.json());
    const reused = await upload('once', rows(12, thirds), { headers });
    expect(reused.json()).toMatchObject({ status: 422, code: 'idempotency_key_reused' });
  });
});

describe('refused, and nothing stays:', () => {
  const bad = [
    '{"prompt":"a"}',
    'not json',
    '{"prompt":"a","completion":1}',
    '[1]',
    '{"prompt":"a","completion":""}',
    '{"prompt":"a","completion":"b","label":3}',
    '{"prompt":"a","completion":"b","split":"dev"}',
  ];
  const many = Array.from({ length: 3 }, () => bad).flat();
  const cases: { what: string; payload: string | Buffer; expected: object }[] = [
    {
      what: 'bad lines, the first ten with their reasons',
      payload: `${rows(3, thirds)}${many.join('\n')}\n${rows(3, thirds)}`,
      expected: {
        code: 'invalid_dataset',
        bad_lines: 21,
        lines: Array.from({ length: 10 }, (_, i) => ({ line: 4 + i, reason: expect.any(String) })),
      },
    },
    {
      what: 'a line that is not UTF-8',
      payload: Buffer.concat([Buffer.from(rows(3, thirds)), Buffer.from([0x7b, 0xff, 0xfe, 0x7d])]),
      expected: { code: 'invalid_dataset', lines: [{ line: 4, reason: expect.stringContaining('UTF-8') }] },
    },
    {
      what: 'a split for some rows only',
      payload: `${rows(6, thirds)}${rows(2)}`,
      expected: { code: 'invalid_dataset', detail: expect.stringContaining('6 rows name their split and 2 do not') },
    },
    {
      what: 'no gate rows',
      payload: rows(6, (i) => ['training', 'search'][i % 2]!),
      expected: { code: 'invalid_dataset', detail: expect.stringContaining('no gate rows') },
    },
    {
      what: 'no search rows',
      payload: rows(6, (i) => ['training', 'gate'][i % 2]!),
      expected: { code: 'invalid_dataset', detail: expect.stringContaining('no search rows') },
    },
    {
      what: 'no rows at all',
      payload: '\n\n',
      expected: { code: 'invalid_dataset', detail: expect.stringContaining('no rows') },
    },
    {
      what: 'a line longer than 1 MiB',
      payload: `${rows(3, thirds)}${line({ prompt: 'x'.repeat(1 << 20), completion: 'y', split: 'training' })}`,
      expected: { code: 'invalid_dataset', lines: [{ line: 4, reason: expect.stringContaining('longer than') }] },
    },
  ];
  it.each(cases)('$what', async ({ payload, expected }) => {
    const before = await contents(app.db, app.dataDir);
    const response = await upload('refused', payload);
    expect(response.headers['content-type']).toContain('application/problem+json');
    expect(response.json()).toMatchObject({ status: 422, ...expected });
    expect(await contents(app.db, app.dataDir)).toEqual(before);
  });

  it('an upload that breaks off', async () => {
    const before = await contents(app.db, app.dataDir);
    async function* broken() {
      yield Buffer.from(rows(100, thirds));
      throw new Error('gone');
    }
    const response = await upload('broken', Readable.from(broken())).catch((error: Error) => error);
    if (!(response instanceof Error)) expect(response.json()).toMatchObject({ status: 400, code: 'upload_aborted' });
    await expect.poll(() => contents(app.db, app.dataDir)).toEqual(before);
  });

  it('a name that is taken, before the upload is read and in a race', async () => {
    await upload('taken', rows(9, thirds));
    expect((await upload('taken', rows(9, thirds))).json()).toMatchObject({ status: 409, code: 'dataset_exists' });
    const before = await contents(app.db, app.dataDir);
    const racing = await Promise.all([10, 11, 12, 13].map((count) => upload('race', rows(count, thirds))));
    expect(racing.map(({ statusCode }) => statusCode).sort()).toEqual([201, 409, 409, 409]);
    const after = await contents(app.db, app.dataDir);
    expect(after).toMatchObject({ datasets: before.datasets + 1, artifacts: before.artifacts + 1, temporary: [] });
    expect(after.stored).toHaveLength(before.stored.length + 1);
  });

  it.each([
    [
      'another content type',
      { url: '/v1/datasets?name=x', headers: { 'content-type': 'application/json' }, payload: '{}' },
      { status: 415, code: 'unsupported_media_type' },
    ],
    [
      'no body',
      { url: '/v1/datasets?name=x', headers: {}, payload: undefined },
      { status: 415, code: 'unsupported_media_type' },
    ],
    ['no name', { url: '/v1/datasets', headers: NDJSON, payload: 'x' }, { status: 400, code: 'invalid_request' }],
    [
      'a name like a path',
      { url: '/v1/datasets?name=..%2Fx', headers: NDJSON, payload: 'x' },
      { status: 400, code: 'invalid_request' },
    ],
    [
      'an unknown parameter',
      { url: '/v1/datasets?name=x&nmae=y', headers: NDJSON, payload: 'x' },
      { status: 400, code: 'invalid_request' },
    ],
  ])('%s', async (_what, options, expected) => {
    const response = await app.request({ method: 'POST', key: acme.key, ...options });
    expect(response.json()).toMatchObject(expected);
  });
});

describe('over a connection', () => {
  const head = (length: number) => ({ ...bearer(acme.key), ...NDJSON, 'content-length': length });

  it.each<Record<string, string>>([{}, { 'idempotency-key': 'still-sending' }])(
    'a refusal reaches a client that is still sending, and the connection can be used again (%o)',
    async (headers) => {
      await upload('still-sending', rows(9, thirds));
      const connection = await openConnection(app.app);
      const body = Buffer.from(rows(9, thirds));
      const chunk = Buffer.alloc(1 << 20, 'x');
      connection.post('/v1/datasets?name=still-sending', { ...head(16 << 20), ...headers });
      const sent = (async () => {
        for (let i = 0; i < 16; i++) await connection.write(chunk);
      })();
      expect(await connection.answer()).toMatchObject({ status: 409, body: { code: 'dataset_exists' } });
      await sent;
      connection.post(`/v1/datasets?name=${'idempotency-key' in headers ? 'next-1' : 'next-2'}`, head(body.length));
      await connection.write(body);
      expect(await connection.answer()).toMatchObject({ status: 201 });
      connection.close();
    },
  );

  it('a declared length over the limit is refused unread', async () => {
    const connection = await openConnection(app.app);
    connection.post('/v1/datasets?name=huge', head(5 * 2 ** 30));
    const answer = await connection.answer();
    expect(answer).toMatchObject({ status: 413, body: { code: 'upload_too_large', max_bytes: 4 * 2 ** 30 } });
    connection.close();
  });

  it('an upload that the client breaks off leaves nothing', async () => {
    const before = await contents(app.db, app.dataDir);
    const connection = await openConnection(app.app);
    connection.post('/v1/datasets?name=cut', head(1 << 30));
    await connection.write(Buffer.from(rows(10_000, thirds)));
    await expect.poll(async () => (await contents(app.db, app.dataDir)).temporary.length).toBe(1);
    connection.close();
    await expect.poll(() => contents(app.db, app.dataDir)).toEqual(before);
  });

  it('an upload of 48 MB is not kept in memory', async () => {
    const block = Buffer.from(rows(200, thirds).replaceAll('answer', `answer ${'words '.repeat(300)}`));
    const blocks = Math.ceil((48 << 20) / block.length);
    const connection = await openConnection(app.app);
    connection.post('/v1/datasets?name=big', head(blocks * block.length));
    const start = heldBytes();
    let peak = 0;
    for (let i = 0; i < blocks; i++) {
      await connection.write(block);
      if (i % 40 === 0) peak = Math.max(peak, heldBytes() - start);
    }
    const answer = await connection.answer();
    connection.close();
    expect(answer).toMatchObject({ status: 201, body: { rows: blocks * 200, bytes: blocks * block.length } });
    expect(peak).toBeLessThan(16 << 20);
  });
});

describe('tenants', () => {
  it('see their own datasets only', async () => {
    const { id } = (await upload('private', rows(9, thirds))).json();
    const hidden = await app.request({ url: `/v1/datasets/${id}`, key: other.key });
    expect(hidden.json()).toMatchObject({ status: 404, code: 'not_found' });
    expect((await app.request({ url: '/v1/datasets', key: other.key })).json().data).toEqual([]);
    expect((await app.request({ url: `/v1/datasets?tenant_id=${acme.id}`, key: other.key })).json().data).toEqual([]);
    expect((await upload('private', rows(9, thirds), { key: other.key })).statusCode).toBe(201);
    expect((await app.request({ url: `/v1/datasets/${id}` })).statusCode).toBe(200);
  });

  it('may not upload for others or with a key that only reads; an operator says for whom', async () => {
    const reading = await createTestKey(app.db, { tenantId: acme.id, scopes: ['tenant:read'] });
    expect((await upload('x', rows(9, thirds), { key: reading })).json()).toMatchObject({
      status: 403,
      code: 'forbidden',
    });
    const foreign = await upload('x', rows(9, thirds), { query: `&tenant_id=${other.id}` });
    expect(foreign.json()).toMatchObject({ status: 404 });
    const key = app.operatorKey;
    expect((await upload('x', rows(9, thirds), { key })).json()).toMatchObject({
      status: 400,
      code: 'tenant_required',
    });
    const forOther = await upload('by-operator', rows(9, thirds), { key, query: `&tenant_id=${other.id}` });
    expect(forOther.json()).toMatchObject({ tenant_id: other.id });
    const unknown = await upload('x', rows(9, thirds), { key, query: `&tenant_id=${other.id.slice(0, -4)}0000` });
    expect(unknown.json()).toMatchObject({ status: 404 });
  });

  it('page through their datasets, newest first', async () => {
    const tenant = await createTestTenant(app.db, 'paging');
    for (const name of ['a', 'b', 'c']) await upload(name, rows(9, thirds), { key: tenant.key });
    const first = (await app.request({ url: '/v1/datasets?limit=2', key: tenant.key })).json();
    expect(first.data.map((dataset: { name: string }) => dataset.name)).toEqual(['c', 'b']);
    const url = `/v1/datasets?limit=2&cursor=${first.next_cursor}`;
    const second = (await app.request({ url, key: tenant.key })).json();
    expect(second).toMatchObject({ data: [{ name: 'a' }], next_cursor: null });
    const named = (await app.request({ url: '/v1/datasets?name=b', key: tenant.key })).json();
    expect(named.data).toHaveLength(1);
  });
});
