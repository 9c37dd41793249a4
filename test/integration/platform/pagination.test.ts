import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/index.ts';

let service: TestApp;
const names = Array.from({ length: 7 }, (_, index) => `tenant-${index}`);

beforeAll(async () => {
  service = await createTestApp();
  for (const name of names) await service.request({ method: 'POST', url: '/v1/tenants', payload: { name } });
});
afterAll(() => service.close());

const page = async (query: string) => (await service.request({ url: `/v1/tenants${query}` })).json();
const namesOf = (body: { data: { name: string }[] }) => body.data.map((entry) => entry.name);

test.each([1, 3, 7, 50])('pages of %i give every row once, newest first', async (limit) => {
  const found: string[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const body: { data: { name: string }[]; next_cursor: string | null } = await page(
      `?limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`,
    );
    expect(body.data.length).toBeLessThanOrEqual(limit);
    found.push(...namesOf(body));
    cursor = body.next_cursor;
  }
  expect(found).toEqual([...names].reverse());
});

test('a row that is added meanwhile moves nothing', async () => {
  const first = await page('?limit=3');
  await service.request({ method: 'POST', url: '/v1/tenants', payload: { name: 'added' } });
  const second = await page(`?limit=3&cursor=${first.next_cursor}`);
  expect([...namesOf(first), ...namesOf(second)]).toEqual([...names].reverse().slice(0, 6));
});

test.each(['bm90IGFuIGlk!', 'AA', Buffer.from('a b').toString('base64url')])(
  'the cursor %s is refused',
  async (cursor) => {
    const answer = await service.request({ url: `/v1/tenants?cursor=${encodeURIComponent(cursor)}` });
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'invalid_cursor']);
  },
);

test('a list that has not changed answers 304', async () => {
  const first = await service.request({ url: '/v1/tenants?limit=2' });
  const etag = String(first.headers.etag);
  const same = await service.request({ url: '/v1/tenants?limit=2', headers: { 'if-none-match': etag } });
  expect([same.statusCode, same.body]).toEqual([304, '']);
  expect(same.headers.etag).toBe(etag);
  await service.request({ method: 'POST', url: '/v1/tenants', payload: { name: 'changes-it' } });
  const changed = await service.request({ url: '/v1/tenants?limit=2', headers: { 'if-none-match': etag } });
  expect(changed.statusCode).toBe(200);
  expect(changed.headers.etag).not.toBe(etag);
});
