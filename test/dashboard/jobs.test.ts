import { expect, inject, test } from 'vitest';
import { useBrowser } from './support/browser.ts';
import { testEveryLook } from './support/every-look.ts';

const demo = inject('demo');
const open = useBrowser();
const path = `/jobs?rollout=${demo.rolloutId}`;

testEveryLook(open, {
  name: 'the list of jobs',
  path: () => path,
  key: () => demo.readerKey,
  shown: (page) => page.getByRole('link', { name: 'news-topics', exact: true }).waitFor(),
});

test('jobs are filtered and sorted by the service, and the address says how', async () => {
  const page = await open(path, { key: demo.readerKey });
  const rows = page.getByRole('table', { name: 'Jobs' }).locator('tbody tr');
  await page.getByText(`${demo.jobs.length} in all`).waitFor();
  await page.getByRole('columnheader', { name: 'Time to readiness' }).getByRole('button').click();
  await page.waitForURL(/sort=-ttr/);
  await page.getByRole('combobox', { name: 'Kind' }).click();
  await page.getByRole('option', { name: 'controls', exact: true }).click();
  await page.getByText('1 in all').waitFor();
  expect(await rows.first().innerText()).toContain('control');
  expect(new URL(page.url()).searchParams.get('kind')).toBe('control');

  await page.getByRole('button', { name: 'In any state' }).click();
  await page.getByRole('menuitemcheckbox', { name: 'failed' }).click();
  await page.keyboard.press('Escape');
  await page.getByText('No job is like that.').waitFor();
});

test('a tenant sees its own jobs, and no tenants', async () => {
  const page = await open(path, { key: demo.tenantKeys.acme });
  await page.getByRole('link', { name: 'news-topics', exact: true }).waitFor();
  expect(await page.getByRole('link', { name: 'feed-topics' }).count()).toBe(0);
  expect(await page.getByRole('combobox', { name: 'Tenant' }).count()).toBe(0);
});
