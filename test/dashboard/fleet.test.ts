import { inject, test } from 'vitest';
import { useBrowser } from './support/browser.ts';
import { testEveryLook } from './support/every-look.ts';
import { keepPicture } from './support/pictures.ts';

const demo = inject('demo');
const open = useBrowser();

testEveryLook(open, {
  name: 'the fleet',
  path: () => '/',
  key: () => demo.readerKey,
  shown: (page) => page.getByRole('link', { name: 'Version 2', exact: true }).first().waitFor(),
});

test('the fleet shows which versions serve how much of it, and what the last rollout has come to', async () => {
  const page = await open('/', { key: demo.readerKey });
  const lineage = page.getByRole('list', { name: 'Versions of demo-llama' });
  await lineage.getByRole('listitem').filter({ hasText: 'Version 2' }).getByText('newest version of').waitFor();
  await page.getByRole('row').filter({ hasText: 'demo-llama to version 2' }).getByText('completed').waitFor();
  await keepPicture(page, 'dashboard-fleet');
});
