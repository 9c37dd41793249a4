import { expect, inject, test } from 'vitest';
import { familyPath } from '../../cli/demo/fleet.ts';
import { createBaseModelVersion, getRollout, listJobs } from '../../openapi/clients/typescript/src/index.ts';
import { useBrowser, type DashboardPage } from './support/browser.ts';
import { testEveryLook } from './support/every-look.ts';
import { keepPicture } from './support/pictures.ts';
import { createSmallFleet, operatorClient } from './support/small-fleet.ts';

const demo = inject('demo');
const open = useBrowser();
const rolloutPath = () => `/rollouts/${demo.rolloutId}`;

testEveryLook(open, {
  name: 'the rollout',
  path: rolloutPath,
  key: () => demo.operatorKey,
  shown: async (page) => {
    await page.getByRole('heading', { name: /than from scratch/ }).waitFor();
    await page.getByRole('table', { name: 'Jobs of the rollout' }).waitFor();
    await page
      .getByRole('img', { name: /Share of jobs that are ready/ })
      .locator('svg')
      .waitFor();
  },
});

testEveryLook(open, {
  name: 'the list of rollouts',
  path: () => '/rollouts',
  key: () => demo.readerKey,
  shown: (page) => page.getByRole('link', { name: 'demo-llama to version 2' }).waitFor(),
});

test('the rollout says how much sooner it was than from scratch, and how sure that is', async () => {
  const page = await open(rolloutPath(), { key: demo.readerKey });
  await page.getByText(/^From 1 pair only: how sure that is cannot be said/).waitFor();
  await page.getByText('All 6 adapters are ready and published').waitFor();
  await page.getByRole('row', { name: /Time to the end/ }).waitFor();
  await page
    .getByRole('img', { name: /Share of jobs that are ready/ })
    .locator('svg')
    .waitFor();
  await keepPicture(page, 'dashboard-rollout');
});

test('the table is filtered and sorted by the service, and the address says how', async () => {
  const page = await open(rolloutPath(), { key: demo.operatorKey });
  const rows = page.getByRole('table', { name: 'Jobs of the rollout' }).getByRole('row');
  await expect.poll(() => rows.count()).toBe(demo.jobs.length + 1);
  await page.getByRole('radio', { name: 'Controls' }).click();
  await expect.poll(() => rows.count()).toBe(2);
  await page.getByRole('radio', { name: 'Adaptations' }).click();
  await page.getByLabel('Tenant', { exact: true }).selectOption({ label: 'globex (2)' });
  await expect.poll(() => rows.count()).toBe(3);
  await page.getByRole('button', { name: 'Ready after' }).click();
  await expect.poll(() => new URL(page.url()).searchParams.get('sort')).toBe('-ttr');
  const { data: slowest } = await listJobs({
    client: operatorClient(),
    query: { rollout_id: demo.rolloutId, kind: 'adaptation', sort: '-ttr' },
  });
  const names = slowest.filter(({ adapter_name: name }) => /^(feed-topics|catalogue-plurals)$/.test(name));
  await expect.poll(() => rows.nth(1).textContent()).toContain(names[0]!.adapter_name);
  await page.getByRole('button', { name: /^ready/ }).click();
  await page.reload();
  await expect.poll(() => rows.count()).toBe(3);
  await page.getByRole('button', { name: /^ready/, pressed: true }).waitFor();
});

test('a key that only reads is offered no verb, and a tenant none of the operator', async () => {
  const reader = await open(rolloutPath(), { key: demo.readerKey });
  await reader.getByRole('table', { name: 'Jobs of the rollout' }).waitFor();
  expect(await reader.getByRole('button', { name: /roll back|change many|what can be done/i }).count()).toBe(0);
  const tenant = await open(rolloutPath(), { key: demo.tenantKeys.acme });
  const rows = tenant.getByRole('table', { name: 'Jobs of the rollout' }).getByRole('row');
  await expect.poll(() => rows.count()).toBeGreaterThan(1);
  expect(await tenant.getByRole('button', { name: /roll back/i }).count()).toBe(0);
  expect(await tenant.getByText('globex').count()).toBe(0);
});

test('a wave that trips is explained, some of its jobs are cancelled by a filter, and it is resumed', async () => {
  const id = await startTripping();
  const page = await open(`/rollouts/${id}`, { key: demo.operatorKey });
  await page.getByText('The rollout has stopped itself at wave 1').waitFor();
  const waves = page.getByRole('list', { name: 'Waves' }).getByRole('listitem');
  await waves.nth(0).getByText('tripped, 1 adapter').waitFor();
  await waves.nth(1).getByText('waits, 2 adapters').waitFor();

  await chooseFromMenu(page, 'Change many jobs', /^Cancel jobs by a filter/);
  await page.getByText('Cancel 2 jobs').first().waitFor();
  await page.getByLabel('Only adapters with these labels').fill('team:b');
  const cancel = page.getByRole('button', { name: 'Cancel 1 job', exact: true });
  await page.getByText('Jobs of the filter that have not ended: 1.').waitFor();
  await cancel.click();
  await page.getByRole('button', { name: 'cancelled 1' }).waitFor();

  await press(page, 'Resume the rollout');
  await page.getByText('1 adapter ready, 2 adapters not').waitFor();
  const { jobs } = await getRollout({ client: operatorClient(), path: { id } });
  expect(jobs).toEqual({ ready: 1, not_ready: 1, cancelled: 1 });

  const menu = page.getByRole('row').filter({ hasText: 'unreachable' }).getByRole('button');
  await menu.click();
  await page.getByRole('menuitem', { name: 'Retry the job' }).click();
  await page.getByRole('alertdialog').getByText('One job, unreachable. It begins anew').waitFor();
  await page.getByRole('button', { name: 'Leave as it is' }).click();
});

/** Opens a menu and chooses an entry by keyboard alone. */
async function chooseFromMenu(page: DashboardPage, button: string, item: RegExp): Promise<void> {
  await page.getByRole('button', { name: button }).focus();
  await page.keyboard.press('Enter');
  const entry = page.getByRole('menuitem', { name: item });
  await entry.waitFor();
  for (let tries = 0; !(await isFocused(entry)); tries++) {
    if (tries > 10) throw new Error('the entry cannot be reached with the arrow keys');
    await page.keyboard.press('ArrowDown');
  }
  await page.keyboard.press('Enter');
}

const isFocused = (entry: ReturnType<DashboardPage['getByRole']>) =>
  entry.evaluate((element: { matches: (selector: string) => boolean }) => element.matches(':focus'));

/** Presses a button and confirms by keyboard alone; the dialog first focuses its cancel button. */
async function press(page: DashboardPage, verb: string): Promise<void> {
  await page.getByRole('button', { name: verb, exact: true }).focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('alertdialog');
  await dialog.waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
}

/** Starts a rollout whose canary cannot become ready. @returns its identifier */
async function startTripping(): Promise<string> {
  const { baseModel } = await createSmallFleet('tripping', [
    { name: 'unreachable', target: 'unreachable', labels: { tier: 'canary' } },
    { name: 'first', target: 'reachable', labels: { team: 'a' } },
    { name: 'second', target: 'reachable', labels: { team: 'b' } },
  ]);
  const { rollout } = await createBaseModelVersion({
    client: operatorClient(),
    path: { model: baseModel },
    body: {
      version: 'second',
      path: familyPath('v2'),
      rollout: {
        strategy: 'reuse',
        policy: { waves: [{ label: { tier: 'canary' } }], pause_if: { unready_share: 0, min_jobs: 1 } },
      },
    },
  });
  return rollout!.id;
}
