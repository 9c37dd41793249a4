import { beforeAll, expect, inject, test } from 'vitest';
import { getJob } from '../../openapi/clients/typescript/src/index.ts';
import { expectAccessible } from './support/accessibility.ts';
import { useBrowser, type DashboardPage } from './support/browser.ts';
import { startJobFleet, type JobFleet } from './support/job-fleet.ts';

const demo = inject('demo');
const open = useBrowser();
let fleet: JobFleet;

beforeAll(async () => {
  // A kept service has the fleets of earlier runs.
  fleet = await startJobFleet(demo, `job-steering-${Date.now()}`);
});

/** Time for the worker, which also runs other suites' jobs, in milliseconds. */
const WORK_MS = 90_000;

/** Presses a button and then the button of its dialog, by keyboard alone. */
async function confirm(page: DashboardPage, label: string): Promise<void> {
  await page.getByRole('button', { name: label }).focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('alertdialog', { name: `${label}?` });
  await dialog.getByRole('button', { name: label }).focus();
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
}

const heading = (page: DashboardPage) => page.getByRole('heading', { level: 1 }).locator('..');

test('a failed job says why, and what to do, and offers a retry to who may', async () => {
  const page = await open(`/jobs/${fleet.broken.id}`, { key: fleet.tenantKey });
  await heading(page).getByText('failed').waitFor({ timeout: WORK_MS });
  const account = page.getByRole('region', { name: 'Why it is not ready' });
  await account.getByText('The dataset lacks rows that the job needs').waitFor();
  await account.getByText('24 search rows has the prompt of a gate row').waitFor();
  await account.getByText('Correct the dataset and give the adapter the new one').waitFor();
  await account.getByText('Code insufficient_data').waitFor();
  await page.getByText('No rung has begun.').waitFor();
  await page.getByRole('button', { name: 'Retry the job' }).waitFor();
  await expectAccessible(page);

  const watched = await open(`/jobs/${fleet.broken.id}`, { key: demo.readerKey });
  await watched.getByText('The dataset lacks rows that the job needs').waitFor();
  expect(await watched.getByRole('button', { name: 'Retry the job' }).count()).toBe(0);
});

test('a job is paused, resumed, approved, followed to its end, and retried with other options', async () => {
  const { id } = fleet.unreachable;
  const page = await open(`/jobs/${id}`, { key: fleet.tenantKey });
  await page.getByText('Held until its tenant approves it.').waitFor();
  await confirm(page, 'Pause the job');
  await heading(page).getByText('paused').waitFor();
  await confirm(page, 'Resume the job');
  await heading(page).getByText('held').waitFor();
  await confirm(page, 'Approve the job');
  await heading(page).getByText('not ready').waitFor({ timeout: WORK_MS });
  await page.getByRole('region', { name: 'Why' }).getByText('No candidate has reached the gate').waitFor();
  const rungs = page.getByRole('list', { name: 'Rungs of the ladder' });
  await rungs.getByText(/^Copy/).waitFor();
  await page.getByRole('list', { name: 'States' }).getByText('not ready').waitFor();

  await page.getByRole('button', { name: 'Retry the job' }).click();
  const dialog = page.getByRole('alertdialog');
  await dialog.getByLabel('Strategy').click();
  await page.getByRole('option', { name: 'scratch' }).click();
  await dialog.getByLabel('Most steps of training').fill('3');
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Retry the job' }).click();
  await dialog.waitFor({ state: 'detached' });
  await rungs.getByText('From scratch').waitFor({ timeout: WORK_MS });
  await heading(page).getByText('not ready').waitFor({ timeout: WORK_MS });
  await page.getByRole('combobox', { name: 'Run of the job' }).getByText('Run 2 of 2, scratch').waitFor();
  await page.getByRole('img', { name: /^Training loss over 3 steps/ }).waitFor();
  await page.getByRole('img', { name: /^What the job did in .*, 2 attempts$/ }).waitFor();
  const { own_options: options } = await getJob({ client: fleet.operator, path: { id } });
  expect(options).toEqual({ strategy: 'scratch', max_steps: 3 });
});
