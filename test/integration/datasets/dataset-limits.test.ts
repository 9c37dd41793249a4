import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApp, createTestTenant, type TestApp, type TestTenant } from '../support/index.ts';
import { contents } from '../support/store-contents.ts';

let app: TestApp;
let acme: TestTenant;
beforeAll(async () => {
  app = await createTestApp({
    env: { READAPT_DATASET_ROW_LIMIT: '50', READAPT_UPLOAD_LIMIT_BYTES: String(2 << 20) },
  });
  acme = await createTestTenant(app.db, 'acme');
});
afterAll(() => app.close());

const line = (row: object) => `${JSON.stringify(row)}\n`;
const thirds = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    prompt: `question ${i}: `,
    completion: 'answer',
    split: ['training', 'search', 'gate'][i % 3],
  }));
const rows = (count: number) => thirds(count).map(line).join('');
const unnamed = (count: number) =>
  thirds(count)
    .map(({ split: _, ...row }) => line(row))
    .join('');
/** Row with a tool whose description is nested this deep. */
const deep = (levels: number) =>
  `{"messages":[{"role":"assistant","content":"a"}],"tools":[{"a":${'['.repeat(levels)}${']'.repeat(levels)}}]}\n`;

function upload(name: string, payload: string | Buffer) {
  return app.request({
    method: 'POST',
    url: `/v1/datasets?name=${name}`,
    key: acme.key,
    headers: { 'content-type': 'application/x-ndjson' },
    payload: Readable.from([Buffer.from(payload)]),
  });
}

const atLine4 = (reason: string) => [{ line: 4, reason: expect.stringContaining(reason) }];
const cases: [string, string | Buffer, { status: number; [member: string]: unknown }][] = [
  [
    'more rows than the setting allows',
    rows(51),
    {
      status: 413,
      code: 'upload_too_large',
      max_rows: 50,
      setting: 'READAPT_DATASET_ROW_LIMIT',
      detail: expect.stringContaining('more than 50 rows (READAPT_DATASET_ROW_LIMIT)'),
    },
  ],
  [
    'more bytes than the setting allows',
    `${rows(3)}${' '.repeat(2 << 20)}`,
    {
      status: 413,
      code: 'upload_too_large',
      max_bytes: 2 << 20,
      setting: 'READAPT_UPLOAD_LIMIT_BYTES',
      detail: expect.stringContaining('2097152 bytes (READAPT_UPLOAD_LIMIT_BYTES)'),
    },
  ],
  [
    'a row that is nested deeper than a stack',
    `${rows(3)}${deep(100_000)}`,
    { status: 422, code: 'invalid_dataset', lines: atLine4('64 levels') },
  ],
  [
    'a line that is longer than 1 MiB with its split',
    `${unnamed(3)}${line({ prompt: 'x'.repeat((1 << 20) - 32), completion: 'y' })}`,
    { status: 422, code: 'invalid_dataset', lines: atLine4('as it is stored') },
  ],
  [
    'a compressed body',
    gzipSync(rows(9)),
    { status: 422, code: 'invalid_dataset', detail: expect.stringContaining('compressed with gzip') },
  ],
  [
    'a hundred bad lines, of more',
    `${rows(3)}${'{}\n'.repeat(1000)}`,
    { status: 422, code: 'invalid_dataset', bad_lines: 100, detail: expect.stringMatching(/^100 or more bad lines/) },
  ],
];
it.each(cases)('%s: refused, and nothing stays', async (_what, payload, problem) => {
  const before = await contents(app.db, app.dataDir);
  const response = await upload('refused', payload);
  expect(response.headers['content-type']).toContain('application/problem+json');
  expect(response.json()).toMatchObject(problem);
  expect(await contents(app.db, app.dataDir)).toEqual(before);
});

it('what is just within the limits is taken', async () => {
  const response = await upload('within', `${rows(49)}${line({ ...thirds(1)[0], prompt: 'x'.repeat(1_000_000) })}`);
  expect(response.statusCode, response.body).toBe(201);
  expect(response.json()).toMatchObject({ rows: 50 });
});
