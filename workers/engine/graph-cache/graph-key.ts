import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { ProgramSpec } from '../../models/decoder/program-spec.ts';
import type { Target } from '../devices/target.ts';

/** The folders whose code makes a graph of a program's description. */
export const SOURCE_FOLDERS = ['engine', 'models', 'formats'].map((name) => path.join(import.meta.dirname, '../..', name));

/** The packages that have a part in it. */
export const SOURCE_PACKAGES = ['@tensorflow/tfjs', 'protobufjs'];

/**
 * Equal for programs whose encoded graphs are the same: a hash of all that decides them, known without tracing. That is
 * the program's description, the provider and precision that it is rewritten for, and the code and packages that trace,
 * rewrite and encode. Machine and ONNX Runtime are no part of it: the graph is all ours, and any of them reads it.
 * @param sources hash of the code, where it is not that of this process
 */
export function graphKey(spec: ProgramSpec, { provider, precision }: Pick<Target, 'provider' | 'precision'>, sources = ownSources()): string {
  return hash(JSON.stringify([{ ...spec, modules: [...spec.modules] }, provider, precision, sources]));
}

let known: string | undefined;

/** Read once a process: what it runs was loaded at its start. */
function ownSources(): string {
  return (known ??= sourcesHash(SOURCE_FOLDERS));
}

/** Names and contents of all TypeScript in the folders, and the packages' versions. */
export function sourcesHash(folders: readonly string[]): string {
  return hash(JSON.stringify([folders.map(folderHash), SOURCE_PACKAGES.map(versionOf)]));
}

function folderHash(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return hash(JSON.stringify(names.sort().map((name) => [name, readFileSync(path.join(folder, name), 'utf8')])));
}

function versionOf(name: string): string {
  const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string }).version;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
