import path from 'node:path';
import type { Page } from 'playwright-core';

/**
 * READAPT_SCREENSHOTS names the folder in which pictures are kept, such as docs/images; without it, there are none.
 * @param height shows so many pixels from the top in place of the whole page
 */
export async function keepPicture(page: Page, name: string, height?: number): Promise<void> {
  const folder = process.env.READAPT_SCREENSHOTS;
  if (folder === undefined) return;
  if (height !== undefined) await page.setViewportSize({ width: page.viewportSize()!.width, height });
  const fullPage = height === undefined;
  await page.screenshot({ path: path.join(folder, `${name}.png`), animations: 'disabled', fullPage });
}
