import { fork, type ChildProcess, type ForkOptions } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Path of a module of this package: TypeScript in a checkout, JavaScript in dist/.
 * @param name path without its extension, relative to the importing module
 * @param from `import.meta.url` of the importing module
 */
export function modulePath(name: string, from: string): string {
  return fileURLToPath(new URL(name + path.extname(from), from));
}

/**
 * Runs a module in a Node process of its own. A TypeScript module runs through tsx, whatever the current folder is.
 * Node gets the flags in `options.execArgv`, but none of this process's flags.
 */
export function forkModule(file: string, args: readonly string[], options: ForkOptions): ChildProcess {
  const loader = path.extname(file) === '.ts' ? ['--import', pathToFileURL(tsxPath()).href] : [];
  return fork(file, args, { ...options, execArgv: [...(options.execArgv ?? []), ...loader] });
}

/**
 * Starts a module in a worker thread. A TypeScript module runs through tsx, registered by its API, because `--import`
 * does not register it in threads.
 */
export function startThread(file: string, options: WorkerOptions): Worker {
  if (path.extname(file) !== '.ts') return new Worker(file, options);
  // `require()` resolves to the .cjs module, which registers nothing in a thread.
  const api = createRequire(import.meta.url)
    .resolve('tsx/esm/api')
    .replace(/\.cjs$/, '.mjs');
  const [from, module] = [api, file].map((name) => JSON.stringify(pathToFileURL(name).href));
  const start = `import(${from}).then(({ register }) => { register(); return import(${module}); })`;
  return new Worker(start, { ...options, eval: true });
}

/** Path of tsx, a development dependency that only a checkout has. */
function tsxPath(): string {
  return createRequire(import.meta.url).resolve('tsx');
}
