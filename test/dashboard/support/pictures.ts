import path from 'node:path';
import type { Page } from 'playwright-core';

/** READAPT_SCREENSHOTS names the folder in which pictures are kept, such as docs/images; without it, there are none. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  const folder = process.env.READAPT_SCREENSHOTS;
  if (folder === undefined) return;
  await page.screenshot({ path: path.join(folder, `${name}.png`), animations: 'disabled', fullPage: true });
}
