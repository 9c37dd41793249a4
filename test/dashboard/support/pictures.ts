import path from 'node:path';
import type { Page } from 'playwright-core';

/**
 * Saves a screenshot to the folder named by READAPT_SCREENSHOTS, such as docs/images; does nothing without it.
 * @param height number of pixels from the top (default: the whole page)
 */
export async function keepPicture(page: Page, name: string, height?: number): Promise<void> {
  const folder = process.env.READAPT_SCREENSHOTS;
  if (folder === undefined) return;
  if (height !== undefined) await page.setViewportSize({ width: page.viewportSize()!.width, height });
  const fullPage = height === undefined;
  await page.screenshot({ path: path.join(folder, `${name}.png`), animations: 'disabled', fullPage });
}
