import { test } from 'vitest';
import { expectAccessible, expectNoSidewaysScroll } from './accessibility.ts';
import type { DashboardPage, useBrowser } from './browser.ts';

/** Light, dark and phone-sized appearance. */
const LOOKS = [
  { appearance: 'light', width: 'wide' },
  { appearance: 'dark', width: 'wide' },
  { appearance: 'light', width: 'narrow' },
] as const;

interface CheckedPage {
  readonly name: string;
  readonly path: () => string;
  readonly key?: () => string;
  /** Waits for the page's main content. */
  readonly shown: (page: DashboardPage) => Promise<unknown>;
}

/** Defines a test that checks a page's accessibility in each appearance. */
export function testEveryLook(open: ReturnType<typeof useBrowser>, { name, path, key, shown }: CheckedPage): void {
  test.each(LOOKS)(`${name} is accessible in $appearance, $width`, async (look) => {
    const page = await open(path(), { ...look, ...(key !== undefined && { key: key() }) });
    await shown(page);
    await expectAccessible(page);
    if (look.width === 'narrow') await expectNoSidewaysScroll(page);
  });
}
