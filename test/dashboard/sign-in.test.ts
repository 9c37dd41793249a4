import { expect, inject, test } from 'vitest';
import { createApiKey, createClient, revokeApiKey } from '../../openapi/clients/typescript/src/index.ts';
import { useBrowser } from './support/browser.ts';
import { testEveryLook } from './support/every-look.ts';

const demo = inject('demo');
const open = useBrowser();

testEveryLook(open, {
  name: 'the page for signing in',
  path: () => '/',
  shown: (page) => page.getByRole('heading', { name: 'Sign in' }).waitFor(),
});

test('a key signs in to the page that was asked for, stays in the tab, and is gone after signing out', async () => {
  const page = await open('/workers?as=json');
  await page.getByLabel('API key').fill(demo.operatorKey);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Workers', includeHidden: true }).waitFor();
  expect(new URL(page.url()).search).toBe('?as=json');

  await page.reload();
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByText('Operator').waitFor();
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  const stored = await page.evaluate('JSON.stringify([{ ...sessionStorage }, { ...localStorage }])');
  expect(stored).not.toContain('rdp_');
});

test('an unknown key is refused with what to do', async () => {
  const page = await open('/');
  await page.getByLabel('API key').fill('rdp_0000000000000000_nonsense');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('The API key is unknown, expired or revoked').waitFor();
  await expect.poll(() => page.problems).toEqual([expect.stringContaining('401')]);
  page.problems.splice(0);
});

test('the key of a link is taken out of the address at once', async () => {
  const page = await open('/workers', { key: demo.readerKey });
  await page.getByText('Operator, read only').waitFor();
  expect(page.url()).toBe(`${demo.url}/workers`);
});

test('a link cannot lead from signing in to another site', async () => {
  const page = await open(`/sign-in?next=${encodeURIComponent('//evil.example/')}`);
  await page.getByLabel('API key').fill(demo.operatorKey);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Fleet' }).waitFor();
});

test('a tenant sees whose key it is, and no view of the operator', async () => {
  const page = await open('/', { key: demo.tenantKeys.acme });
  await page.getByText('acme').first().waitFor();
  expect(await page.getByRole('link', { name: 'Workers' }).count()).toBe(0);
});

test('a key that is revoked leads back to signing in, which says why, and shows nothing any more', async () => {
  const client = createClient({ baseUrl: demo.url, apiKey: demo.operatorKey });
  const { id, key } = await createApiKey({ client, body: { name: 'short-lived', scopes: ['operator:read'] } });
  const page = await open('/', { key: key!, expected: /status of 401/ });
  await page.getByRole('link', { name: 'Version 2', exact: true }).waitFor();
  await revokeApiKey({ client, path: { id } });
  await page.getByRole('alert').getByText('The service no longer takes the key').waitFor();
  expect(await page.getByText('demo-llama').count()).toBe(0);
});
