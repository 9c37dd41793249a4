import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startLocalStack, type LocalStack } from '../../cli/stack/local-stack.ts';
import { loadConfig } from '../../src/platform/config/config.ts';

const CHROMIUM = process.env.READAPT_CHROMIUM ?? '/usr/bin/chromium';

let dataDir: string;
let stack: LocalStack;
let browser: Browser;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'readapt-browser-'));
  stack = await startLocalStack(
    loadConfig({ READAPT_DATA_DIR: dataDir, READAPT_PORT: '0', READAPT_LOG_LEVEL: 'silent' }),
    { worker: false },
  );
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update'],
  });
});

afterAll(async () => {
  await browser?.close();
  await stack?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

test('the API documentation shows the operations and sends a request with the key', async () => {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  await page.goto(`${stack.url}/docs`);
  await page.getByText('/v1/base-models', { exact: true }).first().waitFor();

  await page
    .getByRole('button', { name: /authorize/i })
    .first()
    .click();
  await page.locator('.modal-ux input').fill(stack.operatorKey!);
  await page.locator('.modal-ux button.authorize').click();
  await page.locator('.modal-ux button.btn-done').click();

  const operation = page.locator('.opblock', { hasText: 'GET' }).filter({ hasText: '/v1/tenants' }).first();
  await operation.locator('.opblock-summary').click();
  await operation.getByRole('button', { name: /try it out/i }).click();
  await operation.getByRole('button', { name: /execute/i }).click();
  await operation.locator('.live-responses-table .response-col_status', { hasText: '200' }).first().waitFor();

  if (process.env.READAPT_SCREENSHOTS)
    await page.screenshot({ path: path.join(process.env.READAPT_SCREENSHOTS, 'api-docs.png') });
  expect(problems).toEqual([]);
});
