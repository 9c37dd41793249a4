import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

/** Of one kind: the first places are enough to find it. */
const SHOWN_PLACES = 3;

/** Fails if axe-core finds something serious or critical on the page as it is shown now, by WCAG 2.2 AA. */
export async function expectAccessible(page: Page): Promise<void> {
  // Evaluated by the debugger, because the content security policy lets no foreign script in.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(async () => {
    const { axe: loaded } = globalThis as unknown as { axe: typeof axe };
    return loaded.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
  });
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  expect(
    serious.map(
      ({ id, nodes }) =>
        `${id}: ${nodes
          .slice(0, SHOWN_PLACES)
          .map(({ html }) => html)
          .join(' ')}`,
    ),
  ).toEqual([]);
}

/** Fails if something of the page sticks out of the window, which would have to be scrolled sideways. */
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
