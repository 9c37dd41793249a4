import { createClient, listWorkers, releaseWorker } from '../../openapi/clients/typescript/src/index.ts';
import { expect, inject, test } from 'vitest';
import { useBrowser } from './support/browser.ts';
import { testEveryLook } from './support/every-look.ts';

const demo = inject('demo');
const open = useBrowser();
const client = createClient({ baseUrl: demo.url, apiKey: demo.operatorKey });

testEveryLook(open, {
  name: 'the list of workers',
  path: () => '/workers',
  key: () => demo.readerKey,
  shown: (page) => page.getByText('Bases in memory').waitFor(),
});

test('a worker is drained to wait and released again, by keyboard', async () => {
  const { data } = await listWorkers({ client });
  const { id } = data.find(({ state }) => state === 'ready')!;
  const page = await open('/workers', { key: demo.operatorKey });
  const rest = page.getByRole('button', { name: 'Let it rest' });
  await rest.focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('alertdialog', { name: 'Let it rest?' });
  await dialog.getByText('takes no other until it is released').waitFor();
  await dialog.getByRole('button', { name: 'Let it rest' }).focus();
  await page.keyboard.press('Enter');
  try {
    await page.getByText('then it waits until it is released').waitFor();
    await page.getByRole('button', { name: 'Release it' }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Release it' }).click();
    await rest.waitFor();
    await page.getByText('then it waits until it is released').waitFor({ state: 'detached' });
  } finally {
    await releaseWorker({ client, path: { id } });
  }
});

test('a key that only reads is offered nothing that changes a worker', async () => {
  const page = await open('/workers', { key: demo.readerKey });
  await page.getByText('Bases in memory').waitFor();
  expect(await page.getByRole('button', { name: 'Drain it' }).count()).toBe(0);
});

test('a tenant is told that workers are not its own', async () => {
  const page = await open('/workers', { key: demo.tenantKeys.acme });
  await page.getByText('Workers belong to the operator.').waitFor();
});
