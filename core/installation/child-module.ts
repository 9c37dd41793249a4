import { fork, type ChildProcess, type ForkOptions } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * Path of a module of this package: TypeScript where the sources run, JavaScript where dist/ does.
 * @param name path without its extension, relative to the module that asks
 * @param from `import.meta.url` of the module that asks
 */
export function modulePath(name: string, from: string): string {
  return fileURLToPath(new URL(name + path.extname(from), from));
}

/** Forks a module in a Node process of its own; a TypeScript one runs through tsx, wherever the current folder is. */
export function forkModule(file: string, args: readonly string[], options: ForkOptions): ChildProcess {
  const execArgv = path.extname(file) === '.ts' ? ['--import', pathToFileURL(tsxPath()).href] : [];
  return fork(file, args, { ...options, execArgv });
}

/** tsx is a development dependency: only a checkout has it. */
function tsxPath(): string {
  return createRequire(import.meta.url).resolve('tsx');
}
