import { readdir, readFile } from 'node:fs/promises';
import { expect, inject, test } from 'vitest';
import { packagePath } from '../../core/installation/package-path.ts';
import { DASHBOARD_PAGES } from '../../src/api/plugins/dashboard.ts';
import { useBrowser } from './support/browser.ts';

const { url, readerKey } = inject('demo');
const open = useBrowser();

/** Bound on the bytes transferred for the first view. */
const FIRST_LOAD_BYTES = 350_000;

test('the first view loads less than 350 kB, compressed', async () => {
  const page = await open('/', { key: readerKey });
  await page.getByRole('heading', { level: 2, name: 'Base models' }).waitFor();
  await page.waitForLoadState('networkidle');
  const sizes: { name: string; transferSize: number }[] = await page.evaluate(
    `performance.getEntriesByType('resource')
      .filter(({ name }) => name.includes('/assets/'))
      .map(({ name, transferSize }) => ({ name, transferSize }))`,
  );
  const total = sizes.reduce((sum, { transferSize }) => sum + transferSize, 0);
  console.log(`the first view loads ${Math.round(total / 1000)} kB in ${sizes.length} files`);
  expect(total).toBeGreaterThan(50_000);
  expect(total).toBeLessThan(FIRST_LOAD_BYTES);
});

test('assets are compressed and never asked for again, and the page always is', async () => {
  const html = await fetch(`${url}/rollouts/anything/below?it=is#decided`);
  expect(html.status).toBe(200);
  expect(html.headers.get('cache-control')).toBe('no-cache');
  const [asset] = /\/assets\/index-[^"]+\.js/.exec(await html.text()) ?? [];
  for (const encoding of ['br', 'gzip']) {
    const answer = await fetch(`${url}${asset}`, { headers: { 'accept-encoding': encoding } });
    expect(answer.headers.get('content-encoding')).toBe(encoding);
    expect(answer.headers.get('content-type')).toMatch(/^(text|application)\/javascript/);
    expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    await answer.arrayBuffer();
  }
});

test('nothing may be loaded from elsewhere, framed or guessed, and each answer has a nonce of its own', async () => {
  const [first, second] = await Promise.all([fetch(url), fetch(url)]);
  const policy = first.headers.get('content-security-policy') ?? '';
  expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self' 'nonce-[^']{20,}' 'sha256-/);
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain('unsafe');
  const nonce = /'nonce-([^']+)'/.exec(policy)?.[1];
  expect(await first.text()).toContain(`content="${nonce}"`);
  expect(second.headers.get('content-security-policy')).not.toContain(nonce);
  expect(first.headers.get('x-content-type-options')).toBe('nosniff');
  expect(first.headers.get('referrer-policy')).toBe('no-referrer');
});

test.each(['/v1/nowhere', '/elsewhere', '/assets/missing.js', '/assets/..%2findex.html'])(
  '%s is no page of the dashboard',
  async (path) => {
    const answer = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${readerKey}` } });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([404, 'application/problem+json']);
  },
);

test('the service knows which page stands at every path of the dashboard', async () => {
  const folder = packagePath('dashboard', 'src', 'routes');
  const files = await Promise.all((await readdir(folder)).map((name) => readFile(`${folder}/${name}`, 'utf8')));
  const routes = files.flatMap((text) => [...text.matchAll(/path: '(\/[^']*)'[^]*?\/([a-z-]+)-page\.tsx'/g)]);
  const pages = routes.map(([, path, page]) => [path!.replace(/\$\w+/, ':id'), page]);
  expect(Object.fromEntries(pages)).toEqual(DASHBOARD_PAGES);
});

test.each(Object.keys(DASHBOARD_PAGES))(
  '%s names the files of its page, so that they are asked for at once',
  async (path) => {
    const page = await open(path.replace(':id', 'unknown'), { key: readerKey, expected: /status of 40[04]/ });
    await page.waitForLoadState('networkidle');
    const { named, loaded }: { named: string[]; loaded: string[] } = await page.evaluate(`({
    named: [...document.querySelectorAll('head > link[rel=modulepreload]')].map(({ href }) => href),
    loaded: performance.getEntriesByType('resource').map(({ name }) => name)
      .filter((name) => /-page-[^/]*\\.js$/.test(name)),
  })`);
    expect(loaded).toHaveLength(1);
    expect(named).toContain(loaded[0]);
  },
);
