import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect, inject, test } from 'vitest';
import { createClient, getAdapter, listAdapters } from '../../openapi/clients/typescript/src/index.ts';
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
  // Other suites have adapters of their own, of other tenants.
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

test("a tenant cannot see another's adapter", async () => {
  const { tenant_id: owner } = await getAdapter({ client, path: { id } });
  const others = await Promise.all(
    Object.values(demo.tenantKeys).map(async (key) => {
      const answer = await fetch(`${demo.url}/v1/whoami`, { headers: { authorization: `Bearer ${key}` } });
      return { key, tenant: ((await answer.json()) as { tenant_id: string }).tenant_id };
    }),
  );
  const page = await open(`/adapters/${id}`, { key: others.find(({ tenant }) => tenant !== owner)!.key });
  await page.getByText('belongs to another tenant').first().waitFor();
  expect(await page.getByText(name).count()).toBe(0);
  page.problems.splice(0);
});
