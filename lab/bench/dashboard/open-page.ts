import type { Browser, Page } from 'playwright-core';

/** A page that shows nothing for so long has failed, in milliseconds. */
const LIMIT_MS = 30_000;

export interface Opened {
  /** What people call the page. */
  readonly name: string;
  /** With the key behind `#`. */
  readonly address: string;
}

/** Runs in the page, until the heading is there and no part of the page says any more that it is loading. */
const UNTIL_CONTENT = `new Promise((resolve, reject) => {
  const look = () => {
    const main = document.querySelector('main');
    const busy = main?.querySelectorAll('[aria-busy=true]');
    if (main?.querySelector('h1') && busy.length === 0) resolve(performance.now());
    else if (performance.now() > ${LIMIT_MS}) reject(new Error([...(busy ?? [])].map((part) => part.textContent).join(', ') || document.body.innerText));
    else requestAnimationFrame(look);
  };
  look();
})`;

/**
 * Opens a page by its address, in a browser that has stored nothing, and waits for its content.
 * @returns with it, milliseconds from the beginning of the navigation until the page shows what it is about
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
