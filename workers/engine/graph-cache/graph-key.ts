import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import type { ProgramSpec } from '../../models/decoder/program.ts';
import type { Target } from '../devices/target.ts';

/** The folders whose code makes a graph of a program's description. */
export const SOURCE_FOLDERS = ['engine', 'models'].map((name) => path.join(import.meta.dirname, '../..', name));

/** The packages that have a part in it. */
export const SOURCE_PACKAGES = ['@tensorflow/tfjs', 'onnxruntime-node', 'protobufjs'];

/**
 * Equal for programs whose optimised graphs are the same: a hash of all that decides them, known without tracing. That
 * is the program's description and its target; the code and packages that trace and optimise; and the CPU, which ONNX
 * Runtime's optimisations may depend on.
 */
export function graphKey(spec: ProgramSpec, { provider, precision }: Target): string {
  const program = { ...spec, modules: [...spec.modules], provider, precision };
  return hash(JSON.stringify([program, environment()]));
}

let known: string | undefined;

/** Read once a process: what it runs was loaded at its start. */
function environment(): string {
  return (known ??= JSON.stringify([SOURCE_FOLDERS.map(folderHash), SOURCE_PACKAGES.map(versionOf), machine()]));
}

function folderHash(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return hash(JSON.stringify(names.sort().map((name) => [name, readFileSync(path.join(folder, name), 'utf8')])));
}

function versionOf(name: string): string {
  const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string }).version;
}

/** The model's name alone is not enough: virtual machines call CPUs with different instruction sets the same. */
function machine(): readonly string[] {
  return [process.platform, process.arch, os.cpus()[0]?.model ?? '', instructionSets()];
}

function instructionSets(): string {
  try {
    return /^(flags|Features)\s*:.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0] ?? '';
  } catch {
    return '';
  }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
