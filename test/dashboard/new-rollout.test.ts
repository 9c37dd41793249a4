import { expect, inject, test } from 'vitest';
import { familyPath } from '../../cli/demo/fleet.ts';
import { useBrowser, type DashboardPage } from './support/browser.ts';
import { testEveryLook } from './support/every-look.ts';
import { createSmallFleet } from './support/small-fleet.ts';

const demo = inject('demo');
const open = useBrowser();
const formPath = () => `/rollouts/new?version=${demo.versionIds.second}`;

testEveryLook(open, {
  name: 'the form of a new rollout',
  path: formPath,
  key: () => demo.operatorKey,
  shown: async (page) => {
    await expect.poll(() => page.getByLabel('Version', { exact: true }).inputValue()).toBe(demo.versionIds.second);
    await page.getByRole('button', { name: 'Add a wave' }).click();
  },
});

const WHOLE_ROLLOUT =
  'a rollout is tried, begun by the form, paused, resumed, approved, followed to its end and rolled back';
test(WHOLE_ROLLOUT, async () => {
  const { baseModel, tenantKey } = await createSmallFleet('followed', [
    { name: 'one', target: 'reachable', labels: {} },
    { name: 'two', target: 'reachable', labels: {} },
  ]);
  const page = await open('/rollouts/new', { key: demo.operatorKey });
  await fillIn(page, baseModel);
  await page.getByRole('button', { name: 'Try it without beginning' }).click();
  await page.getByRole('heading', { name: '2 adapters of 1 tenant would move to version second' }).waitFor();
  await page.getByText('In 2 waves of 1, then 1.').waitFor();
  // The dry run has registered the version, so the form goes on with it.
  await page.getByRole('radio', { name: 'Registered version', checked: true }).waitFor();
  await expect
    .poll(() => page.getByLabel('Version', { exact: true }).locator('option:checked').textContent())
    .toMatch(/^second/);
  expect(new URL(page.url()).searchParams.get('dry_run')).toMatch(/^rfc_/);

  await press(page, 'Begin the rollout', '2 adapters of 1 tenant are carried over to version second');
  await page.getByRole('heading', { level: 1, name: `${baseModel} to version second` }).waitFor();
  await page.getByText('Wave 2 of 2 waits for an approval').waitFor();
  await press(page, 'Pause the rollout', '1 waiting job does not begin');
  await page.getByText('Somebody has paused the rollout').waitFor();
  await press(page, 'Resume the rollout', '1 job goes on');
  await press(page, 'Approve wave 2', 'The jobs of wave 2 of 2 begin');
  await page.getByText('All 2 adapters are ready and published').waitFor();
  await press(page, 'Roll back', '2 adapters are ready by this rollout');
  await page.getByText('The rollout was rolled back: 2 adapters went back').waitFor();
  await page.getByRole('button', { name: 'Roll back again' }).waitFor();
  await expectRolledBackForAll({ path: new URL(page.url()).pathname, baseModel, tenantKey });
});

test('a link to a dry run restores all of the form that it was asked by', async () => {
  const { baseModel } = await createSmallFleet('restored', [
    { name: 'one', target: 'reachable', labels: { tier: 'a' } },
  ]);
  const page = await open('/rollouts/new', { key: demo.operatorKey });
  await fillIn(page, baseModel);
  await fillInRest(page);
  await page.getByRole('button', { name: 'Try it without beginning' }).click();
  await page.waitForURL(/dry_run=rfc_/);
  await page.getByRole('radio', { name: 'Registered version', checked: true }).waitFor();
  const before = await fieldsOf(page);
  const request = await page.getByLabel('curl code', { exact: true }).textContent();

  const other = await open(new URL(page.url()).pathname + new URL(page.url()).search, { key: demo.operatorKey });
  await other.getByRole('button', { name: 'Try again' }).waitFor();
  await expect.poll(() => fieldsOf(other)).toEqual(before);
  expect(await other.getByLabel('curl code', { exact: true }).textContent()).toBe(request);
  expect(await other.getByText('What is in the form may differ').count()).toBe(0);
  await other.getByLabel('Most jobs at a time').fill('9');
  await other.getByText('What is in the form may differ').waitFor();
});

test('what is wrong stands at its field, before sending and after the service has refused it', async () => {
  const page = await open('/rollouts/new', { key: demo.operatorKey });
  await page.getByRole('button', { name: 'Try it without beginning' }).click();
  await page.getByText('Choose a base model.', { exact: true }).waitFor();
  await page.getByLabel('Base model', { exact: true }).selectOption('demo-llama');
  await page.getByRole('radio', { name: 'New version' }).click();
  await page.getByLabel('Name of the version').fill('3');
  await page.getByLabel('Folder of the model').fill('/nowhere/at/all');
  await page.getByLabel('Most jobs at a time').fill('0');
  await page.getByRole('button', { name: 'Try it without beginning' }).click();
  await expectRefused(page, 'Most jobs at a time', 'Must be >= 1.');
  await page.getByLabel('Most jobs at a time').fill('');
  await page.getByRole('button', { name: 'Try it without beginning' }).click();
  await expectRefused(page, 'Folder of the model', /READAPT_ALLOWED_ROOTS/);
  // The browser logs both refusals of the service.
  const refusals = [expect.stringContaining('400'), expect.stringContaining('422')];
  await expect.poll(() => page.problems).toEqual(refusals);
  page.problems.splice(0);
});

test('the same request can be copied as curl, TypeScript and Python', async () => {
  const page = await open(formPath(), { key: demo.operatorKey });
  await page.getByLabel('Controls').fill('25');
  const asked = { base_model_version_id: demo.versionIds.second, options: { policy: { control_fraction: 0.25 } } };
  const curl = await page.getByLabel('curl code', { exact: true }).textContent();
  expect(JSON.parse(/-d '([^']*)'/.exec(curl!)![1]!)).toEqual(asked);
  await page.getByRole('tab', { name: 'TypeScript' }).click();
  expect(await page.getByLabel('TypeScript code', { exact: true }).textContent()).toContain('await createRollout({');
  await page.getByRole('tab', { name: 'Python' }).click();
  expect(await page.getByLabel('Python code', { exact: true }).textContent()).toContain('"control_fraction": 0.25');
  expect(await page.content()).not.toContain(demo.operatorKey);
});

test('a key that only reads is told that it cannot begin a rollout', async () => {
  const page = await open('/rollouts/new', { key: demo.readerKey });
  await page.getByText('This key may not begin a rollout.').waitFor();
  expect(await page.getByRole('button', { name: 'Begin the rollout' }).count()).toBe(0);
});

async function fillIn(page: DashboardPage, baseModel: string): Promise<void> {
  await page.getByLabel('Base model', { exact: true }).selectOption(baseModel);
  await page.getByRole('radio', { name: 'New version' }).click();
  await page.getByLabel('Name of the version').fill('second');
  await page.getByLabel('Folder of the model').fill(familyPath('v2'));
  await page.getByLabel('Strategy').selectOption('reuse');
  await page.getByRole('button', { name: 'Add a wave' }).click();
  await page.getByLabel('Wave 1, the canary: by what').selectOption('count');
  await page.getByRole('textbox', { name: 'Wave 1, the canary' }).fill('1');
  await page.getByLabel('The next wave begins').selectOption('manual');
}

/** Confirms an action by keyboard alone, after checking the dialog's text. */
async function press(page: DashboardPage, verb: string, told: string): Promise<void> {
  await page.getByRole('button', { name: verb, exact: true }).focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('alertdialog');
  await dialog.getByText(told).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
}

/** Checks that a read-only key and the tenant see the rollback too. */
async function expectRolledBackForAll({
  path,
  baseModel,
  tenantKey,
}: {
  path: string;
  baseModel: string;
  tenantKey: string;
}) {
  for (const key of [demo.readerKey, tenantKey]) {
    const other = await open(path, { key });
    await other.getByText('The rollout was rolled back: 2 adapters went back').waitFor();
    await other.getByRole('link', { name: 'Rollouts', exact: true }).first().click();
    const row = other.getByRole('table', { name: 'Rollouts' }).getByRole('row').filter({ hasText: baseModel });
    await row.getByText('rolled back').waitFor();
  }
}

/** Fills in all fields that `fillIn` leaves out. */
async function fillInRest(page: DashboardPage): Promise<void> {
  const texts = {
    'With all of these labels': 'tier=a',
    'Not ready or failed, more than': '20',
    'Negative flips, more than': '5.5',
    'Metric worse on average by more than': '0.01',
    'Judge once so many jobs have ended': '1',
    'Most jobs at a time': '3',
    Deadline: '2127-03-01T12:30',
    'Budget of device time': '3600',
    Controls: '25',
  };
  const choices = [
    'Priority',
    'Provisional versions',
    'Jobs to older versions that run',
    'Adapters that are imported meanwhile',
  ];
  for (const [label, value] of Object.entries(texts)) await page.getByLabel(label).fill(value);
  for (const label of choices) await page.getByLabel(label).selectOption({ index: 1 });
}

/** Names and values of all fields of the form. */
function fieldsOf(page: DashboardPage): Promise<[string, string][]> {
  return page.evaluate(
    `[...document.querySelectorAll('form input, form select, form textarea')]
      .filter(({ type }) => type !== 'checkbox' && type !== 'radio')
      .map((field) => [field.labels?.[0]?.textContent ?? field.getAttribute('aria-label'), field.value])`,
  );
}

async function expectRefused(page: DashboardPage, label: string, message: string | RegExp): Promise<void> {
  await page.locator('.field-error').getByText(message).waitFor();
  await expect.poll(() => page.getByLabel(label).getAttribute('aria-invalid')).toBe('true');
}
