import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Folder of this package's package.json: two levels up from the TypeScript sources, three from dist/. */
const PACKAGE_ROOT = findPackageRoot(import.meta.dirname);

function findPackageRoot(folder: string): string {
  return existsSync(path.join(folder, 'package.json')) ? folder : findPackageRoot(path.dirname(folder));
}

/** Absolute path of a file or folder beside package.json or below it, such as `prisma/migrations`. */
export function packagePath(...parts: string[]): string {
  return path.join(PACKAGE_ROOT, ...parts);
}

/** Path of one of this package's scripts relative to the current folder, for messages that tell the user to run it. */
export function scriptPath(name: string): string {
  return path.relative('', packagePath('scripts', name));
}

/** Returns the version in package.json. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(packagePath('package.json'), 'utf8')) as { version: string }).version;
}
