import { cp, mkdir, mkdtemp, readdir, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { build, type Plugin } from 'esbuild';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Folders whose modules run in the processes that tests start. */
const SOURCES = ['core', 'src', 'workers', 'cli', 'openapi/clients/typescript/src', 'test'];

/** What those processes read beside their modules. */
const LINKED = ['dashboard', 'examples', 'node_modules', 'package.json', 'prisma', 'scripts'];

/** Leaves every import as it is, up to the extension that the compiled module has. */
const separateModules: Plugin = {
  name: 'separate-modules',
  setup: ({ onResolve }) => {
    onResolve({ filter: /^/ }, ({ kind, path: name }) => {
      if (kind === 'entry-point') return undefined;
      return { path: name.startsWith('.') ? name.replace(/\.ts$/, '.js') : name, external: true };
    });
  },
};

/**
 * Makes a folder that is laid out as the package is: a JavaScript module in `dist` for each TypeScript module, and a command that runs
 * them. The modules are transformed as tsx would do it, but once and ahead, because each process that starts through tsx takes a
 * second or two of processor time more. The command can be run by npx in `installed`. Returns the folder.
 */
export async function compileCheckout(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-compiled-'));
  await build({
    entryPoints: (await Promise.all(SOURCES.map(modulesOf))).flat(),
    outbase: ROOT,
    outdir: path.join(folder, 'dist'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    keepNames: true,
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'warning',
    plugins: [separateModules],
  });
  // The command looks beside its own file for sources, so a link would run those of the checkout.
  await cp(path.join(ROOT, 'bin'), path.join(folder, 'bin'), { recursive: true });
  for (const name of LINKED) await symlink(path.join(ROOT, name), path.join(folder, name));
  for (const name of ['examples', 'test/fixtures'])
    await symlink(path.join(ROOT, name), path.join(folder, 'dist', name));
  const commands = path.join(folder, 'installed/node_modules/.bin');
  await mkdir(commands, { recursive: true });
  await symlink('../../../bin/readapt.js', path.join(commands, 'readapt'));
  return folder;
}

async function modulesOf(folder: string): Promise<string[]> {
  const names = await readdir(path.join(ROOT, folder), { recursive: true });
  return names
    .filter((name) => name.endsWith('.ts') && !/\.(d|test)\.ts$/.test(name))
    .map((name) => path.join(ROOT, folder, name));
}
