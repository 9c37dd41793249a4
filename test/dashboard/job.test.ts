import { expect, inject, test } from 'vitest';
import { createClient, getJob, listSearchPoints } from '../../openapi/clients/typescript/src/index.ts';
import { useBrowser, type DashboardPage } from './support/browser.ts';
import { testEveryLook } from './support/every-look.ts';
import { keepPicture } from './support/pictures.ts';

const demo = inject('demo');
const open = useBrowser();
const client = createClient({ baseUrl: demo.url, apiKey: demo.operatorKey });

/** Adaptation that searched and trained before a candidate passed. */
const trained = demo.jobs.find((job) => job.adapterName === 'past-tense-chat' && job.kind === 'adaptation')!;
const path = `/jobs/${trained.id}`;

/** Height of the pictured part of the page in pixels, down to the end of the ladder. */
const PICTURED = 1910;

const integer = (text: string) => Number(text.replaceAll(',', ''));
const region = (page: DashboardPage, name: string) => page.getByRole('region', { name, exact: true });

testEveryLook(open, {
  name: 'the page of a job',
  path: () => path,
  key: () => demo.readerKey,
  shown: async (page) => {
    await page.getByRole('img', { name: 'points of the search' }).locator('svg').waitFor();
    await page.getByRole('list', { name: 'States' }).getByText('ready').waitFor();
  },
});

test('the phases of a ready job add up to its time to readiness, to the millisecond', async () => {
  const { ttr_ms: ttr } = await getJob({ client, path: { id: trained.id } });
  const page = await open(path, { key: demo.readerKey });
  const table = page.getByRole('table', { name: 'Time by phase' });
  await table.getByText('Time to readiness').waitFor();
  const parts = await table.locator('tbody tr td:nth-of-type(2)').allTextContents();
  const total = integer(await table.locator('tfoot td:nth-of-type(2)').innerText());
  expect(parts.length).toBeGreaterThan(4);
  expect(parts.map(integer).reduce((sum, ms) => sum + ms, 0)).toBe(total);
  expect(total).toBe(Math.round(ttr!));
  await page.getByText(`= ${total.toLocaleString('en')} ms`).waitFor();
  await page
    .getByRole('img', { name: /^What the job did in .*, 1 attempt$/ })
    .locator('svg')
    .waitFor();
});

test('the ladder says what was certified, why rungs were left out, and where the gate was passed', async () => {
  const { metric, certificate } = await getJob({ client, path: { id: trained.id } });
  const page = await open(path, { key: demo.readerKey });
  const rungs = page.getByRole('list', { name: 'Rungs of the ladder' });
  const certified = certificate!.verdict === 'passed' ? 'Certified' : 'Not certified';
  await rungs.getByText(`${certified} at 95% confidence on ${certificate!.rows} rows`).waitFor();
  await rungs.getByText('Skipped, because the search found something better on the search rows.').waitFor();
  await rungs.getByText(/^Not run, because fine-tune /).waitFor();
  const looks = page.getByRole('img', { name: `against the gate's line at ${metric.target}` });
  expect(await looks.getAttribute('aria-label')).toMatch(/Fine-tune, step \d+ .* after the start of the run$/);
  await looks.getByText('gate', { exact: true }).waitFor();
  const curve = page.getByRole('img', { name: 'over the steps of training, with the gate' });
  await curve.getByText(/^taken at step \d+$/).waitFor();
  await curve.getByText('gate', { exact: true }).waitFor();
  await page.getByRole('img', { name: /^Learning rate over \d+ steps/ }).waitFor();
  await page.getByRole('img', { name: /^Regularization λ over \d+ steps/ }).waitFor();
  await keepPicture(page, 'dashboard-job', PICTURED);
});

test('the search is a picture of all points, with copy, revert, the best, and what its model expects', async () => {
  const { data } = await listSearchPoints({ client, path: { id: trained.id } });
  const page = await open(path, { key: demo.readerKey });
  const search = region(page, 'The search for coefficients');
  const plane = search.getByRole('img', { name: `${data.length} points of the search` });
  for (const mark of ['copy', 'revert', `${data.length}`]) await plane.getByText(mark, { exact: true }).waitFor();
  expect(await plane.locator('[aria-label=contour] path').count()).toBeGreaterThan(2);
  await search.getByText('Figures as a table').click();
  expect(await search.getByRole('row').count()).toBe(data.length + 1);
});

test('what is published where, which rows it has lost by slice, and events as dense as one wants', async () => {
  const sliced = demo.jobs.find((job) => job.adapterName === 'news-topics' && job.kind === 'adaptation')!;
  const page = await open(`/jobs/${sliced.id}`, { key: demo.tenantKeys.acme });
  const published = region(page, 'What is published');
  await published.getByRole('link', { name: 'news-topics, version 2' }).waitFor();
  await published.getByText('current', { exact: true }).waitFor();
  await page.getByRole('list', { name: 'Rungs' }).getByText('Slice technology is certified:').waitFor();
  const lost = page.getByRole('table', { name: 'Negative flips by slice' });
  await lost.getByRole('rowheader', { name: 'technology' }).waitFor();
  const bySlice = (await lost.locator('tbody td:nth-of-type(1)').allTextContents()).map(integer);
  await page.getByText(`${bySlice.reduce((sum, rows) => sum + rows, 0)} in all`).waitFor();
  await page.getByRole('radio', { name: 'States' }).focus();
  for (const next of ['All', 'JSON']) {
    await page.keyboard.press('ArrowRight');
    await page.locator('[role=radio]:focus').filter({ hasText: next }).waitFor();
  }
  await page.keyboard.press('Space');
  expect(await region(page, 'Events as JSON').innerText()).toContain('"type": "job.ready"');
  expect(new URL(page.url()).search).toBe('?events=json');
});

test("another tenant's job is no page, and nothing of it is shown", async () => {
  const page = await open(path, { key: demo.tenantKeys.acme, expected: /status of 404/ });
  await page.getByRole('heading', { level: 1, name: 'No such job' }).waitFor();
  await page.getByText('The job may belong to another tenant').waitFor();
  expect(await page.getByText(trained.adapterName).count()).toBe(0);
});
