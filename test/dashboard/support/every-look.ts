import { test } from 'vitest';
import { expectAccessible, expectNoSidewaysScroll } from './accessibility.ts';
import type { DashboardPage, useBrowser } from './browser.ts';

/** Size of a phone's window in CSS pixels, the narrowest that the dashboard is made for. */
const PHONE = { width: 360, height: 900 };

interface CheckedPage {
  readonly name: string;
  readonly path: () => string;
  readonly key?: () => string;
  /** Waits for the page's main content. */
  readonly shown: (page: DashboardPage) => Promise<unknown>;
}

/** Defines a test that checks a page's accessibility in light and dark colours and on a phone. */
export function testEveryLook(open: ReturnType<typeof useBrowser>, { name, path, key, shown }: CheckedPage): void {
  test(`${name} is accessible in light, in dark and on a phone`, async () => {
    const page = await open(path(), { ...(key !== undefined && { key: key() }) });
    await shown(page);
    await expectAccessible(page);
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.locator('.radix-themes.dark').waitFor();
    await expectAccessible(page);
    await page.setViewportSize(PHONE);
    await shown(page);
    await expectAccessible(page);
    await expectNoSidewaysScroll(page);
  });
}
