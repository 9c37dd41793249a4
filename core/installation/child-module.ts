import { fork, type ChildProcess, type ForkOptions } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Path of a module of this package: TypeScript where the sources run, JavaScript where dist/ does.
 * @param name path without its extension, relative to the module that asks
 * @param from `import.meta.url` of the module that asks
 */
export function modulePath(name: string, from: string): string {
  return fileURLToPath(new URL(name + path.extname(from), from));
}

/**
 * Forks a module in a Node process of its own; a TypeScript one runs through tsx, wherever the current folder is. Node gets
 * the flags of `options.execArgv` and none of this process.
 */
export function forkModule(file: string, args: readonly string[], options: ForkOptions): ChildProcess {
  const loader = path.extname(file) === '.ts' ? ['--import', pathToFileURL(tsxPath()).href] : [];
  return fork(file, args, { ...options, execArgv: [...(options.execArgv ?? []), ...loader] });
}

/** Starts a module in a thread of its own; a TypeScript one runs through tsx, which `--import` does not do in threads. */
export function startThread(file: string, options: WorkerOptions): Worker {
  if (path.extname(file) !== '.ts') return new Worker(file, options);
  // The module beside it for require() registers nothing in a thread.
  const api = createRequire(import.meta.url)
    .resolve('tsx/esm/api')
    .replace(/\.cjs$/, '.mjs');
  const [from, module] = [api, file].map((name) => JSON.stringify(pathToFileURL(name).href));
  const start = `import(${from}).then(({ register }) => { register(); return import(${module}); })`;
  return new Worker(start, { ...options, eval: true });
}

/** tsx is a development dependency: only a checkout has it. */
function tsxPath(): string {
  return createRequire(import.meta.url).resolve('tsx');
}
