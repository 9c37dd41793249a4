import { existsSync } from 'node:fs';
import path from 'node:path';
import { inject } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Folder laid out like the package, in which npm runs its scripts. */
export function packageFolder(): string {
  const folder = inject('compiled') as string | undefined;
  if (folder === undefined)
    throw new Error('nothing is compiled for this project: make it a compiledProject in vitest.config.ts');
  return folder;
}

/** Path of the command `readapt`, compiled from this checkout. */
export function compiledCommand(): string {
  return path.join(packageFolder(), 'bin/readapt.js');
}

/** Folder in which npx runs that command, as in an installation. */
export function installedFolder(): string {
  return path.join(packageFolder(), 'installed');
}

/** Path of the compiled module for a TypeScript module of this checkout; any other path is returned unchanged. */
export function compiledModule(file: string): string {
  const within = path.relative(ROOT, file);
  const compiled = path.join(packageFolder(), 'dist', within.replace(/\.ts$/, '.js'));
  return within.endsWith('.ts') && existsSync(compiled) ? compiled : file;
}
