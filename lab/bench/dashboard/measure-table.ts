import type { Browser, Page } from 'playwright-core';
import { openPage, type Opened } from './open-page.ts';

/** Duration from which a user notices a frame, in milliseconds. */
const LONG_FRAME_MS = 50;
/** Duration of the scrolling in milliseconds, and pixels of each turn of the wheel. */
const WHEEL = { ms: 5000, step: 400 } as const;
/** Time limit for rows to appear after a jump, in milliseconds. */
const JUMP_LIMIT_MS = 30_000;

export interface TableFigures {
  readonly frames: number;
  /** Share of the frames that took longer than 50 ms. */
  readonly longShare: number;
  readonly longestMs: number;
  /** Number of rows scrolled down by the wheel. */
  readonly rows: number;
  /** Milliseconds from a jump to the middle of the table, or to its end, until the rows there are shown. */
  readonly toMiddleMs: number;
  readonly toEndMs: number;
}

/** Scrolls the table of a rollout's jobs with the wheel, and jumps in it, each in a browser with an empty cache. */
export async function measureTable(browser: Browser, rollout: Opened): Promise<TableFigures> {
  const scrolled = await inTable(browser, rollout, turnWheel);
  const toMiddleMs = await inTable(browser, rollout, (page) => jump(page, 0.5));
  const toEndMs = await inTable(browser, rollout, (page) => jump(page, 1));
  return { ...scrolled, toMiddleMs, toEndMs };
}

async function inTable<T>(browser: Browser, rollout: Opened, measure: (page: Page) => Promise<T>): Promise<T> {
  const { page, close } = await openPage(browser, rollout);
  try {
    const table = page.getByRole('region', { name: 'Jobs of the rollout' });
    await table.scrollIntoViewIfNeeded();
    await table.hover();
    return await measure(page);
  } finally {
    await close();
  }
}

/** Script that records the times between frames in the page. */
const COLLECT_FRAMES = `(() => {
  const frames = [];
  let before = performance.now();
  const next = (now) => {
    frames.push(now - before);
    before = now;
    globalThis.frames.handle = requestAnimationFrame(next);
  };
  globalThis.frames = { times: frames, handle: requestAnimationFrame(next) };
})()`;
const COLLECTED = `(() => {
  cancelAnimationFrame(globalThis.frames.handle);
  const table = document.querySelector('[role=region][aria-label="Jobs of the rollout"]');
  const rowHeight = table.querySelector('tbody tr:not([aria-hidden])').offsetHeight;
  return { times: globalThis.frames.times, rows: Math.round(table.scrollTop / rowHeight) };
})()`;

async function turnWheel(page: Page) {
  await page.evaluate(COLLECT_FRAMES);
  const end = performance.now() + WHEEL.ms;
  while (performance.now() < end) await page.mouse.wheel(0, WHEEL.step);
  const { times, rows } = await page.evaluate<{ times: number[]; rows: number }>(COLLECTED);
  const long = times.filter((ms) => ms > LONG_FRAME_MS).length;
  return { frames: times.length, longShare: long / times.length, longestMs: Math.max(...times), rows };
}

/** Jumps down the table. @param share of the height of all rows @returns milliseconds until the rows there are shown */
async function jump(page: Page, share: number): Promise<number> {
  return page.evaluate<number>(`new Promise((resolve, reject) => {
    const table = document.querySelector('[role=region][aria-label="Jobs of the rollout"]');
    const began = performance.now();
    table.scrollTop = (table.scrollHeight - table.clientHeight) * ${share};
    const { top, bottom } = table.getBoundingClientRect();
    const isSeen = (row) => row.getBoundingClientRect().bottom > top && row.getBoundingClientRect().top < bottom;
    const isLoading = (row) => row.ariaBusy === 'true' || row.ariaHidden === 'true';
    const count = Number(table.querySelector('table').getAttribute('aria-rowcount'));
    const place = 'the rows at ${share * 100} % of the table';
    const late = place + ' were not shown within ${JUMP_LIMIT_MS / 1000} s of a jump there';
    const look = () => {
      const seen = [...table.querySelectorAll('tbody tr')].filter(isSeen);
      const reached = Number(seen.at(-1)?.getAttribute('aria-rowindex') ?? 0) / count;
      if (reached > ${share} * 0.95 && !seen.some(isLoading)) resolve(performance.now() - began);
      else if (performance.now() - began > ${JUMP_LIMIT_MS}) reject(new Error(late));
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  })`);
}
