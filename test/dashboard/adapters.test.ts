import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect, inject, test } from 'vitest';
import {
  createAdapter,
  createClient,
  getAdapter,
  listAdapters,
  listDatasets,
  updateAdapter,
} from '../../openapi/clients/typescript/src/index.ts';
import { useBrowser } from './support/browser.ts';
import { testEveryLook } from './support/every-look.ts';
import { createSmallFleet } from './support/small-fleet.ts';

const demo = inject('demo');
const open = useBrowser();
const client = createClient({ baseUrl: demo.url, apiKey: demo.operatorKey });
const [name, id] = Object.entries(demo.adapterIds)[0]!;

testEveryLook(open, {
  name: 'the list of adapters',
  path: () => '/adapters',
  key: () => demo.readerKey,
  shown: (page) => page.getByRole('link', { name }).waitFor(),
});
testEveryLook(open, {
  name: 'an adapter',
  path: () => `/adapters/${id}`,
  key: () => demo.readerKey,
  shown: (page) => page.getByText('What is served where').waitFor(),
});

test('adapters are sorted and filtered by the server, and the address says how', async () => {
  // Other suites create adapters for other tenants.
  const owner = createClient({ baseUrl: demo.url, apiKey: demo.tenantKeys.acme! });
  const { data } = await listAdapters({ client: owner });
  const names = data.map((adapter) => adapter.name).sort();
  const page = await open('/adapters', { key: demo.tenantKeys.acme });
  await page.getByText(`${names.length} in all`).waitFor();
  await page.getByRole('button', { name: 'Adapter' }).click();
  await page.waitForURL('**/adapters?sort=-name');
  await page.getByRole('row').nth(1).getByText(names.at(-1)!).waitFor();
  await page.getByLabel('Name').fill(names[0]!);
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByText('1 in all').waitFor();
  expect(new URL(page.url()).searchParams.get('name')).toBe(names[0]);
});

test('an adapter shows its versions against their anchor, and its newest one is downloaded whole', async () => {
  const page = await open(`/adapters/${id}`, { key: demo.readerKey });
  await page.getByRole('img', { name: /at the last$/ }).waitFor();
  await page.getByRole('region', { name: 'Versions of the adapter' }).getByText('latest').waitFor();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download version' }).first().click(),
  ]);
  const { latest_version: latest } = await getAdapter({ client, path: { id } });
  const answer = await fetch(`${demo.url}/v1/adapters/${id}/versions/${latest!.id}/download`, {
    headers: { authorization: `Bearer ${demo.operatorKey}` },
  });
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  expect(sha256(await readFile(await download.path()))).toBe(sha256(new Uint8Array(await answer.arrayBuffer())));
});

test('an adapter is rolled back on one base, which says what will be served', async () => {
  const { baseModel, tenantKey } = await createSmallFleet('rolled-back', [
    { name: 'one', target: 'reachable', labels: {} },
  ]);
  const owner = createClient({ baseUrl: demo.url, apiKey: tenantKey });
  const [adapter] = (await listAdapters({ client: owner })).data;
  const page = await open(`/adapters/${adapter!.id}`, { key: tenantKey });
  const row = page
    .getByRole('row')
    .filter({ hasText: `${baseModel} first` })
    .first();
  await row.getByRole('button', { name: 'Roll it back' }).click();
  const dialog = page.getByRole('alertdialog');
  await dialog.getByText('nothing will be in its place').waitFor();
  await dialog.getByText('One adapter is concerned.').waitFor();
  await dialog.getByRole('button', { name: 'Roll it back' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByText('Nothing of it is served.').waitFor();
  expect((await getAdapter({ client: owner, path: { id: adapter!.id } })).current).toEqual([]);
});

/** More than two pages of the API, so that the last rows are on a third one. */
const MANY = 420;

// The list polls every ten seconds.
test('rows far down are read again by themselves while they are seen', async () => {
  const { baseModel, tenantKey } = await createSmallFleet('many', []);
  const owner = createClient({ baseUrl: demo.url, apiKey: tenantKey });
  const { data: datasets } = await listDatasets({ client: owner });
  const common = {
    base_model: baseModel,
    dataset_id: datasets[0]!.id,
    metric: 'loss',
    gate: { kind: 'absolute', target: 1 },
  } as const;
  for (let number = 0; number < MANY; number += 20) {
    const names = Array.from({ length: 20 }, (_, index) => `many-${String(number + index).padStart(3, '0')}`);
    await Promise.all(names.map((each) => createAdapter({ client: owner, body: { ...common, name: each } })));
  }
  const page = await open('/adapters?sort=name', { key: tenantKey });
  const table = page.getByRole('region', { name: 'Adapters' });
  const last = table.getByRole('row').filter({ hasText: `many-${MANY - 1}` });
  await table.getByRole('link', { name: 'many-000' }).waitFor();
  await table.hover();
  await expect
    .poll(async () => {
      await page.mouse.wheel(0, 4000);
      return last.count();
    })
    .toBe(1);
  const { data } = await listAdapters({ client: owner, query: { name: `many-${MANY - 1}` } });
  await updateAdapter({ client: owner, path: { id: data[0]!.id }, body: { labels: { seen: 'again' } } });
  await last.getByText('seen').waitFor();
});

test("a tenant cannot see another's adapter", async () => {
  const { tenant_id: owner } = await getAdapter({ client, path: { id } });
  const others = await Promise.all(
    Object.values(demo.tenantKeys).map(async (key) => {
      const answer = await fetch(`${demo.url}/v1/whoami`, { headers: { authorization: `Bearer ${key}` } });
      return { key, tenant: ((await answer.json()) as { tenant_id: string }).tenant_id };
    }),
  );
  const { key } = others.find(({ tenant }) => tenant !== owner)!;
  const page = await open(`/adapters/${id}`, { key, expected: /status of 404/ });
  await page.getByText('belongs to another tenant').first().waitFor();
  expect(await page.getByText(name).count()).toBe(0);
});
