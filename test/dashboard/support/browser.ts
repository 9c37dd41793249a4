import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject } from 'vitest';
import { PATIENCE_MS } from '../../patience.ts';

const CHROMIUM = process.env.READAPT_CHROMIUM ?? '/usr/bin/chromium';
const WIDTHS = { wide: 1280, narrow: 360 } as const;

interface OpenOptions {
  /** The key that signs the page in. Without one, the page for signing in is shown. */
  readonly key?: string;
  readonly width?: keyof typeof WIDTHS;
  readonly appearance?: 'light' | 'dark';
  /** Errors that the test brings about, as answers of 4xx. They may come at any time, also behind the test. Default: none. */
  readonly expected?: RegExp;
}

/** A page of the dashboard in a browser of its own, without anything that other pages have stored. */
export interface DashboardPage extends Page {
  /** Errors of the console and of scripts, refusals by the content security policy among them. */
  readonly problems: string[];
}

/**
 * Opens pages of the dashboard in a real Chromium, one for all tests of the file. Each page is closed after its test, which fails if the
 * page has had an error.
 */
export function useBrowser() {
  let browser: Browser;
  const opened: { context: BrowserContext; problems: string[] }[] = [];
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update'],
    });
  });
  afterEach(async () => {
    const pages = opened.splice(0);
    await Promise.all(pages.map(({ context }) => context.close()));
    expect(pages.flatMap(({ problems }) => problems)).toEqual([]);
  });
  afterAll(async () => {
    await browser?.close();
  });
  return async (path: string, options: OpenOptions = {}): Promise<DashboardPage> => {
    const { key, width = 'wide', appearance = 'light', expected } = options;
    const context = await browser.newContext({
      viewport: { width: WIDTHS[width], height: 900 },
      colorScheme: appearance,
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const problems = collectProblems(page, expected);
    opened.push({ context, problems });
    const fragment = key === undefined ? '' : `#key=${key}`;
    await page.goto(`${inject('demo').url}${path}${fragment}`);
    return Object.assign(page, { problems });
  };
}

/** An answer of 4xx or 5xx is an error of the console too. */
function collectProblems(page: Page, expected?: RegExp): string[] {
  const problems: string[] = [];
  const note = (problem: string): void => {
    if (!expected?.test(problem)) problems.push(problem);
  };
  page.on('pageerror', (error) => note(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') note(`${message.text()} ${message.location().url}`.trim());
  });
  return problems;
}
