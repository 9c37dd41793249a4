import type { Browser, Page } from 'playwright-core';
import { openPage, type Opened } from './open-page.ts';

/** A frame that takes longer than this is felt, in milliseconds. */
const LONG_FRAME_MS = 50;
/** For how long the wheel is turned, and how far each time, in pixels. */
const WHEEL = { ms: 5000, step: 400 } as const;
/** After so long, rows at the place of a jump count as not coming, in milliseconds. */
const JUMP_LIMIT_MS = 30_000;

export interface TableFigures {
  readonly frames: number;
  /** Share of the frames that took longer than 50 ms. */
  readonly longShare: number;
  readonly longestMs: number;
  /** How many rows the wheel has come down. */
  readonly rows: number;
  /** From a jump to the middle of all rows, and to the end, until the rows there are shown, in milliseconds. */
  readonly toMiddleMs: number;
  readonly toEndMs: number;
}

/** Scrolls the table of a rollout's jobs with the wheel, and jumps in it, each in a browser that has stored nothing. */
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

/** Collects the times between frames in the page. */
const COLLECT_FRAMES = `(() => {
  const frames = [];
  let before = performance.now();
  const next = (now) => { frames.push(now - before); before = now; globalThis.frames.handle = requestAnimationFrame(next); };
  globalThis.frames = { times: frames, handle: requestAnimationFrame(next) };
})()`;
const COLLECTED = `(() => {
  cancelAnimationFrame(globalThis.frames.handle);
  const table = document.querySelector('[role=region][aria-label="Jobs of the rollout"]');
  return { times: globalThis.frames.times, rows: Math.round(table.scrollTop / table.querySelector('tbody tr:not([aria-hidden])').offsetHeight) };
})()`;

async function turnWheel(page: Page) {
  await page.evaluate(COLLECT_FRAMES);
  const end = performance.now() + WHEEL.ms;
  while (performance.now() < end) await page.mouse.wheel(0, WHEEL.step);
  const { times, rows } = await page.evaluate<{ times: number[]; rows: number }>(COLLECTED);
  const long = times.filter((ms) => ms > LONG_FRAME_MS).length;
  return { frames: times.length, longShare: long / times.length, longestMs: Math.max(...times), rows };
}

/** @param share of the height of all rows */
async function jump(page: Page, share: number): Promise<number> {
  return page.evaluate<number>(`new Promise((resolve, reject) => {
    const table = document.querySelector('[role=region][aria-label="Jobs of the rollout"]');
    const began = performance.now();
    table.scrollTop = (table.scrollHeight - table.clientHeight) * ${share};
    const { top, bottom } = table.getBoundingClientRect();
    const isSeen = (row) => row.getBoundingClientRect().bottom > top && row.getBoundingClientRect().top < bottom;
    const look = () => {
      const seen = [...table.querySelectorAll('tbody tr')].filter(isSeen);
      const place = Number(seen.at(-1)?.getAttribute('aria-rowindex') ?? 0) / Number(table.querySelector('table').getAttribute('aria-rowcount'));
      if (place > ${share} * 0.95 && !seen.some((row) => row.ariaBusy === 'true' || row.ariaHidden === 'true')) resolve(performance.now() - began);
      else if (performance.now() - began > ${JUMP_LIMIT_MS}) reject(new Error('the rows at ${share * 100} % of the table were not shown within ${JUMP_LIMIT_MS / 1000} s of a jump there'));
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  })`);
}
