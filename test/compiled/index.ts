import { existsSync } from 'node:fs';
import path from 'node:path';
import { inject } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** The folder that is laid out as the package is, where npm runs its scripts. */
export function packageFolder(): string {
  const folder = inject('compiled') as string | undefined;
  if (folder === undefined)
    throw new Error('nothing is compiled for this project: make it a compiledProject in vitest.config.ts');
  return folder;
}

/** The command `readapt`, compiled from this checkout. */
export function compiledCommand(): string {
  return path.join(packageFolder(), 'bin/readapt.js');
}

/** A folder where npx runs that command, as it does where the package is installed. */
export function installedFolder(): string {
  return path.join(packageFolder(), 'installed');
}

/** The compiled module of a TypeScript module of this checkout; a path that is none stays as it is. */
export function compiledModule(file: string): string {
  const within = path.relative(ROOT, file);
  const compiled = path.join(packageFolder(), 'dist', within.replace(/\.ts$/, '.js'));
  return within.endsWith('.ts') && existsSync(compiled) ? compiled : file;
}
