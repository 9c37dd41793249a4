import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

/** Folders whose code decides what is kept in the cache. */
export const SOURCE_FOLDERS = ['engine', 'models', 'formats'].map((name) =>
  path.join(import.meta.dirname, '../..', name),
);

/** Packages whose versions decide it too. */
export const SOURCE_PACKAGES = ['@tensorflow/tfjs', 'protobufjs'];

let known: string | undefined;

/** Hashes this process's code. It is read once, because what the process runs was loaded at its start. */
export function ownSources(): string {
  return (known ??= sourcesHash(SOURCE_FOLDERS));
}

/** Hashes names and contents of all TypeScript in the folders, and the packages' versions. */
export function sourcesHash(folders: readonly string[]): string {
  return sha256(JSON.stringify([folders.map(folderHash), SOURCE_PACKAGES.map(versionOf)]));
}

function folderHash(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return sha256(JSON.stringify(names.sort().map((name) => [name, readFileSync(path.join(folder, name), 'utf8')])));
}

function versionOf(name: string): string {
  const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string }).version;
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
