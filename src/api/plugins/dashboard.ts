import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { packagePath } from '../../../core/installation/package-path.ts';
import { AppError } from '../../platform/contract/errors.ts';

/** Folder into which `npm run build` writes the dashboard's files. */
const BUILT = packagePath('dashboard', 'dist');

const PAGE = 'index.html';

/** Whether the dashboard's files have been built. In a fresh checkout they have not. */
export function isDashboardBuilt(): boolean {
  return existsSync(path.join(BUILT, PAGE));
}

/**
 * Names of the dashboard's pages, each by the route that shows it. The name selects the files that the browser should
 * preload.
 */
export const DASHBOARD_PAGES: Readonly<Record<string, string>> = {
  '/': 'fleet',
  '/sign-in': 'sign-in',
  '/rollouts': 'rollouts',
  '/rollouts/new': 'new-rollout',
  '/rollouts/:id': 'rollout',
  '/jobs': 'jobs',
  '/jobs/:id': 'job',
  '/base-model-versions/:id': 'base-model-version',
  '/adapters': 'adapters',
  '/adapters/:id': 'adapter',
  '/workers': 'workers',
};

const FIRST_WORDS = new Set(Object.keys(DASHBOARD_PAGES).map((url) => url.split('/')[1]!));
FIRST_WORDS.delete('');

/**
 * Placeholder in `index.html`. Each answer replaces it by a new random nonce, with which the content security policy
 * allows the page's own style elements.
 */
const NONCE_PLACEHOLDER = '__CSP_NONCE__';

/**
 * Name of the file in which the build lists the scripts and styles that each page needs (see
 * `dashboard/page-preloads.ts`).
 */
const PRELOADS = 'pages.json';
type Preloads = Readonly<Record<string, { modules: string[]; styles: string[]; later: string[] }>>;

/**
 * Digests of two style elements that Radix inserts without a nonce: they hide the native scroll bars of scroll areas
 * and of select lists. Their texts are constant, so the content security policy allows them by digest. A test in a real
 * browser fails if a new release changes them.
 */
const RADIX_STYLES = [
  'sha256-vGQdhYJbTuF+M8iCn1IZCHpdkiICocWHDq4qnQF4Rjw=',
  'sha256-441zG27rExd4/il+NvIqyL8zFx5XmyNQtE381kSkUJk=',
];

/**
 * Serves the dashboard: immutable files with hashed names below `/assets/`, and one HTML page for all of its paths. All
 * of its data comes from `/v1`, with the API key that the user enters.
 */
export default async function dashboard(app: FastifyInstance, { folder = BUILT }: { folder?: string }): Promise<void> {
  app.addHook('onRequest', async (_request, reply) => void protect(reply));
  const assets = path.join(folder, 'assets');
  // The plugin warns if the folder is missing, but serves files that are built later. If the folder cannot be created,
  // the warning is right.
  await mkdir(assets, { recursive: true }).catch(() => undefined);
  await app.register(fastifyStatic, {
    root: assets,
    prefix: '/assets/',
    index: false,
    preCompressed: true,
    maxAge: '365d',
    immutable: true,
    schemaHide: true,
  });
  const serve = (url: string, page?: string) =>
    app.get(url, { schema: { hide: true } }, async (_request, reply) => sendPage(reply, folder, page));
  for (const [url, page] of Object.entries(DASHBOARD_PAGES)) serve(url, page);
  for (const word of FIRST_WORDS) {
    serve(`/${word}/*`);
    if (DASHBOARD_PAGES[`/${word}`] === undefined) serve(`/${word}`);
  }
}

async function sendPage(reply: FastifyReply, folder: string, page?: string): Promise<FastifyReply> {
  const html = await readFile(path.join(folder, PAGE), 'utf8').catch(notBuilt);
  const preloads = page === undefined ? '' : await preloadsOf(folder, page);
  const nonce = randomBytes(16).toString('base64');
  return reply
    .header('cache-control', 'no-cache')
    .header('content-security-policy', policy([`'nonce-${nonce}'`, ...RADIX_STYLES.map((digest) => `'${digest}'`)]))
    .type('text/html; charset=utf-8')
    .send(html.replace(NONCE_PLACEHOLDER, nonce).replace('</head>', `${preloads}</head>`));
}

/**
 * Makes the HTML link elements for a page, so that the browser loads the page's files at once, instead of when the
 * page's scripts ask for them.
 */
async function preloadsOf(folder: string, page: string): Promise<string> {
  // Without this file the page only loads more slowly.
  const text = await readFile(path.join(folder, PRELOADS), 'utf8').catch(() => '{}');
  const { modules = [], styles = [], later = [] } = (JSON.parse(text) as Preloads)[page] ?? {};
  return [
    ...styles.map((file) => `<link rel="preload" as="style" crossorigin href="/${file}">`),
    ...modules.map((file) => `<link rel="modulepreload" crossorigin href="/${file}">`),
    ...later.map((file) => `<link rel="modulepreload" crossorigin fetchpriority="low" href="/${file}">`),
  ].join('');
}

function notBuilt(cause: unknown): never {
  if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
  const message =
    'the dashboard is not built in this checkout: run `npm run build:dashboard`, and load this page again';
  throw new AppError({ code: 'route_not_found', status: 404, message, cause });
}

/**
 * Makes the content security policy of a page.
 *
 * @param styles sources from which style elements are allowed, besides this origin's stylesheets
 */
function policy(styles: readonly string[]): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' ${styles.join(' ')}`,
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

function protect(reply: FastifyReply): void {
  reply
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .header('permissions-policy', 'camera=(), geolocation=(), microphone=(), payment=(), usb=()')
    .header('cross-origin-opener-policy', 'same-origin');
}
