import { expect, inject, test } from 'vitest';
import { listBaseModelVersions } from '../../openapi/clients/typescript/src/index.ts';
import { useBrowser } from './support/browser.ts';
import { testEveryLook } from './support/every-look.ts';
import { keepPicture } from './support/pictures.ts';
import { createSmallFleet, operatorClient } from './support/small-fleet.ts';

const demo = inject('demo');
const open = useBrowser();
const second = () => `/base-model-versions/${demo.versionIds.second}`;

testEveryLook(open, {
  name: 'a base model version',
  path: second,
  key: () => demo.readerKey,
  shown: (page) => page.getByRole('img', { name: /^Drift of \d+ modules by layer/ }).waitFor(),
});

test('a version shows what changed from the one before, by layer and module, and what that means', async () => {
  const page = await open(second(), { key: demo.readerKey });
  await page.getByRole('heading', { name: 'demo-llama, version 2', level: 1 }).waitFor();
  const map = page.getByRole('img', { name: /^Drift of \d+ modules by layer/ });
  // One cell per projection and layer, like the table's rows.
  const cells = map.locator('rect');
  await cells.first().waitFor();
  const figures = page.getByRole('region', { name: /^Figures: Drift of/ });
  await page.getByText('Figures as a table').first().click();
  const rows = figures.getByRole('row');
  await rows.nth(await cells.count()).waitFor();
  const curve = page.getByRole('img', { name: /^Rank \d+ holds/ });
  await curve.locator('circle').first().waitFor();
  const heights = await curve
    .locator('circle')
    .evaluateAll((dots) => dots.map((dot) => Number(dot.getAttribute('cy'))));
  // A higher rank holds more of the change, which is higher up in the picture.
  expect(heights).toEqual([...heights].sort((a, b) => b - a));
  expect(heights.at(-1)).toBeLessThan(heights[0]! - 50);
  await keepPicture(page, 'dashboard-version');
});

test('the first version is compared with nothing, and says whom its retirement would leave', async () => {
  const page = await open(`/base-model-versions/${demo.versionIds.first}`, { key: demo.operatorKey });
  await page.getByText('Nothing is compared yet.').waitFor();
  await page.getByText('Nothing would be left without a version if it retired').waitFor();
  await page.getByRole('link', { name: '6 adapters' }).click();
  await page.getByText('can be served on').waitFor();
  await page.getByText('6 in all').waitFor();
});

test('an operator says when a version retires, and that it is not decided', async () => {
  const { baseModel: model } = await createSmallFleet('retiring', []);
  const [version] = (await listBaseModelVersions({ client: operatorClient(), path: { model } })).data;
  const page = await open(`/base-model-versions/${version!.id}`, { key: demo.operatorKey });
  const decide = async (day: string) => {
    await page.getByRole('button', { name: 'Say when it retires' }).click();
    const dialog = page.getByRole('alertdialog');
    await dialog.getByLabel('The first day').fill(day);
    await dialog.getByRole('button', { name: 'Say when it retires' }).click();
    await dialog.waitFor({ state: 'detached' });
  };
  await decide('2099-01-02');
  await page.getByText('2099-01-0').first().waitFor();
  await decide('');
  await page.getByText('not decided').waitFor();
});
