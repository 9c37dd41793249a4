import type { Browser, Page } from 'playwright-core';

/** Time limit for a page to show its content, in milliseconds. */
const LIMIT_MS = 30_000;

export interface Opened {
  /** Name of the page in the table of results. */
  readonly name: string;
  /** Address of the page, with the API key behind `#`. */
  readonly address: string;
}

/** Script that waits in the page until its heading is there and no part of it is marked as loading. */
const UNTIL_CONTENT = `new Promise((resolve, reject) => {
  const look = () => {
    const main = document.querySelector('main');
    const busy = main?.querySelectorAll('[aria-busy=true]');
    if (main?.querySelector('h1') && busy.length === 0) resolve(performance.now());
    else if (performance.now() > ${LIMIT_MS}) {
      const loading = [...(busy ?? [])].map((part) => part.textContent).join(', ');
      reject(new Error(loading || document.body.innerText));
    }
    else requestAnimationFrame(look);
  };
  look();
})`;

/**
 * Opens a page by its address, in a browser with an empty cache, and waits for its content.
 * @returns the page, and the milliseconds from the start of the navigation until its content is shown
 * @throws Error that names the page, if it shows no content within 30 s
 */
export async function openPage(
  browser: Browser,
  { name, address }: Opened,
): Promise<{ page: Page; ms: number; close: () => Promise<void> }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const close = () => context.close();
  try {
    const page = await context.newPage();
    await page.goto(address, { waitUntil: 'commit', timeout: LIMIT_MS });
    return { page, close, ms: await page.evaluate<number>(UNTIL_CONTENT) };
  } catch (cause) {
    await close();
    const [{ pathname }, why] = [new URL(address), (cause as Error).message];
    throw new Error(`the page ${name} (${pathname}) shows no content within ${LIMIT_MS / 1000} s: ${why}`, { cause });
  }
}
