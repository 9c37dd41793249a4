import { expect, inject, test } from 'vitest';
import {
  cancelRollout,
  createBaseModelVersion,
  createClient,
  pauseRollout,
  updateBaseModelVersion,
} from '../../openapi/clients/typescript/src/index.ts';
import { familyPath } from '../../cli/demo/fleet.ts';
import { useBrowser } from './support/browser.ts';
import { testEveryLook } from './support/every-look.ts';
import { keepPicture } from './support/pictures.ts';

const demo = inject('demo');
const open = useBrowser();
const client = createClient({ baseUrl: demo.url, apiKey: demo.operatorKey });

testEveryLook(open, {
  name: 'the fleet',
  path: () => '/',
  key: () => demo.readerKey,
  shown: (page) => page.getByRole('link', { name: 'Version 2', exact: true }).first().waitFor(),
});

test('the fleet shows which versions serve how much of it, and what the last rollout has come to', async () => {
  const page = await open('/', { key: demo.readerKey });
  const lineage = page.getByRole('list', { name: 'Versions of demo-llama' });
  await lineage.getByRole('listitem').filter({ hasText: 'Version 2' }).getByText('6 adapters on it (100%)').waitFor();
  const last = page.getByRole('row').filter({ hasText: 'demo-llama to version 2' }).last();
  await last.getByText('completed').waitFor();
  await last.getByText('sooner than from scratch').waitFor();
});

test('a tenant sees how many of its own adapters are on each version', async () => {
  const page = await open('/', { key: demo.tenantKeys.acme });
  const lineage = page.getByRole('list', { name: 'Versions of demo-llama' });
  await lineage.getByText('2 adapters can be served here').first().waitFor();
  expect(await page.getByRole('link', { name: 'New rollout' }).count()).toBe(0);
});

test('a version that retires needs a person, and its lineage says what is at risk', async () => {
  const retire = (retiresAt: string | null) =>
    updateBaseModelVersion({ client, path: { id: demo.versionIds.first }, body: { retires_at: retiresAt } });
  await retire(new Date(Date.now() + 10 * 86_400_000).toISOString());
  try {
    const page = await open('/', { key: demo.operatorKey });
    const told = page.getByRole('listitem').filter({ hasText: 'demo-llama 1 retires soon' });
    await told.getByText('6 adapters are served there').waitFor();
    const version = page.getByRole('list', { name: 'Versions of demo-llama' }).getByRole('listitem').last();
    await version.getByText('retires in 10 days').waitFor();
    await version.getByText('nothing is at risk').waitFor();
    await page.getByRole('link', { name: 'New rollout' }).waitFor();
    await keepPicture(page, 'dashboard-fleet');
  } finally {
    await retire(null);
  }
});

test('a rollout is among the running ones until it ends, then among the last', async () => {
  // A kept service has the versions of earlier runs.
  const version = `fleet-${Date.now()}`;
  const { rollout } = await createBaseModelVersion({
    client,
    path: { model: demo.baseModelId },
    body: { version, path: familyPath('v2'), rollout: {} },
  });
  const { id } = rollout!;
  await pauseRollout({ client, path: { id } });
  const page = await open('/', { key: demo.readerKey });
  const running = page.getByRole('region', { name: 'Running rollouts' });
  const card = running.locator('.rt-Card').filter({ hasText: `demo-llama to version ${version}` });
  // Jobs planned before the pause are counted as paused too.
  await card.getByText('paused', { exact: true }).waitFor();
  await cancelRollout({ client, path: { id } });
  await card.waitFor({ state: 'detached' });
  const last = page.getByRole('row').filter({ hasText: `demo-llama to version ${version}` });
  await last.getByText('cancelled').waitFor();
});

test('what was read stays while the service does not answer, with a notice', async () => {
  const page = await open('/', { key: demo.readerKey, expected: /ERR_FAILED/ });
  const version = page.getByRole('link', { name: 'Version 2', exact: true });
  await version.waitFor();
  await page.route('**/v1/**', (route) => route.abort());
  await page.getByRole('status').getByText('The service has not answered since').waitFor();
  expect(await version.isVisible()).toBe(true);
  await page.unroute('**/v1/**');
  await page.getByText('The service has not answered since').waitFor({ state: 'detached' });
});

test('the view as JSON has an address of its own', async () => {
  const page = await open('/', { key: demo.readerKey });
  await page.getByRole('button', { name: 'As JSON' }).click();
  await page.getByRole('heading', { name: 'GET /v1/base-models' }).waitFor();
  expect(new URL(page.url()).search).toBe('?as=json');
  await page.getByRole('button', { name: 'Copy the answer to GET /v1/base-models?limit=20' }).click();
  const copied = JSON.parse(await page.evaluate<string>('navigator.clipboard.readText()')) as {
    data: { name: string }[];
  };
  expect(copied.data.map(({ name }) => name)).toContain('demo-llama');
  await page.keyboard.press('Escape');
  await page.waitForURL(`${demo.url}/`);
});
