import { expect, inject, test } from 'vitest';
import { useBrowser, type DashboardPage } from './support/browser.ts';

const demo = inject('demo');
const open = useBrowser();

const theme = (page: DashboardPage) => page.locator('.radix-themes').first().getAttribute('class');

async function choose(page: DashboardPage, role: 'menuitemradio' | 'menuitemcheckbox', name: string): Promise<void> {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole(role, { name }).click();
  await page.getByRole('menu').waitFor({ state: 'detached' });
}

test('light and dark follow the system until its reader chooses one, which is kept', async () => {
  const page = await open('/', { key: demo.readerKey });
  await page.getByRole('heading', { level: 1, name: 'Fleet' }).waitFor();
  expect(await theme(page)).toContain('light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.locator('.radix-themes.dark').waitFor();

  await choose(page, 'menuitemradio', 'Light');
  await page.locator('.radix-themes.light').waitFor();
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'Fleet' }).waitFor();
  expect(await theme(page)).toContain('light');
});

test('times are relative or exact, as their reader chooses', async () => {
  const page = await open('/', { key: demo.readerKey });
  const ended = page.getByRole('region', { name: 'Last rollouts' }).locator('time').first();
  await ended.filter({ hasText: /ago|now/ }).waitFor();
  expect(await ended.getAttribute('title')).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
  await choose(page, 'menuitemcheckbox', 'Exact times');
  await ended.filter({ hasText: /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/ }).waitFor();
});

test('the keyboard alone reaches the content, the views and the settings', async () => {
  const page = await open('/', { key: demo.readerKey });
  await page.getByRole('heading', { level: 1, name: 'Fleet' }).waitFor();
  await page.keyboard.press('Tab');
  expect(await page.getByRole('link', { name: 'Skip to the content' }).evaluate(isFocused)).toBe(true);
  await page.keyboard.press('Enter');
  expect(await page.getByRole('main').evaluate(isFocused)).toBe(true);

  await page.getByRole('link', { name: 'Rollouts', exact: true }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Rollouts' }).waitFor();
  // Focus and title are set after the page is rendered.
  await expect.poll(() => page.getByRole('main').evaluate(isFocused)).toBe(true);
  await expect.poll(() => page.title()).toBe('Rollouts · Readapt');

  await page.getByRole('button', { name: 'Settings' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('menuitemradio', { name: 'Dark' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('menu').waitFor({ state: 'detached' });
});

test('an address that no view has says so', async () => {
  const page = await open('/rollouts/x/y/z', { key: demo.readerKey });
  await page.getByText('There is no page at this address').waitFor();
  await page.getByRole('link', { name: 'the fleet' }).click();
  await page.getByRole('heading', { level: 1, name: 'Fleet' }).waitFor();
});

/** Whether the element has the focus. Runs in the page. */
function isFocused(element: unknown): boolean {
  return (globalThis as unknown as { document: { activeElement: unknown } }).document.activeElement === element;
}
