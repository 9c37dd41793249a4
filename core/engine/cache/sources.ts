import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

/** Folders whose code determines the content of the cache: TypeScript sources in a checkout, else dist/. */
export const SOURCE_FOLDERS = ['engine', 'models', 'formats', 'options'].map((name) =>
  path.join(import.meta.dirname, '../..', name),
);

/** Packages whose versions determine the content of the cache. */
export const SOURCE_PACKAGES = ['@tensorflow/tfjs', 'protobufjs'];

let known: string | undefined;

/**
 * Returns a hash of this process's code. The files are read only once, because the running code was loaded at the
 * start.
 */
export function ownSources(): string {
  return (known ??= sourcesHash(SOURCE_FOLDERS));
}

/** File name extension of code: `.ts` if this process runs the TypeScript sources, `.js` if it runs dist/. */
const EXTENSION = path.extname(import.meta.url);

/**
 * Returns a hash of the names and contents of all modules in the given folders, and of the versions of the packages in
 * {@link SOURCE_PACKAGES}.
 */
export function sourcesHash(folders: readonly string[], extension = EXTENSION): string {
  const hashes = folders.map((folder) => folderHash(folder, extension));
  return sha256(JSON.stringify([hashes, SOURCE_PACKAGES.map(versionOf)]));
}

function folderHash(folder: string, extension: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(extension));
  return sha256(JSON.stringify(names.sort().map((name) => [name, readFileSync(path.join(folder, name), 'utf8')])));
}

function versionOf(name: string): string {
  const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string }).version;
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
