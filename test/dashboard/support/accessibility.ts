import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

/** Number of places reported per kind of violation. */
const SHOWN_PLACES = 3;

/**
 * Fails if axe-core finds a serious or critical violation of WCAG 2.2 AA on the page, also after the page has had time
 * to settle.
 */
export async function expectAccessible(page: Page): Promise<void> {
  // Runs through the debugger, because the content security policy blocks foreign scripts.
  await page.evaluate(axe.source);
  await expect.poll(() => violationsOf(page)).toEqual([]);
}

async function violationsOf(page: Page): Promise<string[]> {
  const { violations } = await page.evaluate(async () => {
    const { axe: loaded } = globalThis as unknown as { axe: typeof axe };
    return loaded.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
  });
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  const places = (nodes: (typeof serious)[number]['nodes']) => nodes.slice(0, SHOWN_PLACES).map(({ html }) => html);
  return serious.map(({ id, nodes }) => `${id}: ${places(nodes).join(' ')}`);
}

/** Fails if the page is wider than the window and would scroll horizontally. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const { content, window } = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = (globalThis as unknown as { document: { documentElement: Widths } }).document
      .documentElement;
    return { content: scrollWidth, window: clientWidth };
  });
  expect(content).toBeLessThanOrEqual(window);
}

interface Widths {
  readonly scrollWidth: number;
  readonly clientWidth: number;
}
