import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject } from 'vitest';
import { PATIENCE_MS } from '../../patience.ts';

const CHROMIUM = process.env.READAPT_CHROMIUM ?? '/usr/bin/chromium';

interface OpenOptions {
  /** API key to sign in with. Without one, the sign-in page is shown. */
  readonly key?: string;
  /**
   * Errors that the test provokes, such as 4xx answers. They may arrive at any time, even after the test (default:
   * none).
   */
  readonly expected?: RegExp;
}

/** Page of the dashboard in a browser context of its own, without storage of other pages. */
export interface DashboardPage extends Page {
  /** Errors of the console and of scripts, including violations of the content security policy. */
  readonly problems: string[];
}

/**
 * Opens pages in a real Chromium, one browser per test file. Each page closes after its test, which fails if the page
 * logged an error.
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
    const { key, expected } = options;
    const context = await browser.newContext({
      viewport: { width: 1280, height: 900 },
      colorScheme: 'light',
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

/** Collects the page's errors. The console also logs each 4xx or 5xx answer as an error. */
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
