import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../errors.ts';
import { readJsonInFolder, requireInFolder, resolveInFolder } from '../hugging-face/model-folder.ts';
import { ADAPTER_CONFIG } from './peft-config.ts';
import { ADAPTER_WEIGHTS } from './peft-keys.ts';

export const ADAPTER_MANIFEST = 'readapt.json';

/** Where a published adapter comes from. */
export interface AdapterManifest {
  /** Fingerprint of the base it was made for. */
  readonly baseFingerprint: string;
  /** Identifier of the adapter version it was carried over from. */
  readonly parent?: string | null;
  /** `reuse`, `revert`, `relora`, `warm-start`, `scratch`, or `train` and the like. */
  readonly strategy?: string | null;
  /** α and β of the fusion, where there was one. */
  readonly coefficients?: ManifestCoefficients | null;
  readonly metrics?: Readonly<Record<string, number>>;
  /** What the base's matrices were computed in (`f32`, `int8`, …) when it was made and measured. */
  readonly precision?: string | null;
}

/** With groups of modules that have a pair of their own, `alpha` and `beta` are the means over the adapted modules. */
export interface ManifestCoefficients {
  readonly alpha: number;
  readonly beta: number;
  readonly groups?: {
    /** `block`, `depth` or `module`. */
    readonly grouping: string;
    readonly values: Readonly<Record<string, { readonly alpha: number; readonly beta: number }>>;
  };
}

interface FileChecksum {
  readonly sha256: string;
  readonly bytes: number;
}

/** The manifest's JSON, with checksums of the files that lie in the folder. */
export async function encodeManifest(
  manifest: AdapterManifest,
  adapterSha256: string,
  folder: string,
  files: readonly string[],
): Promise<string> {
  const checksums: Record<string, FileChecksum> = {};
  for (const file of files) checksums[file] = await checksum(join(folder, file));
  const json = {
    format: 'readapt.adapter.v1',
    base_fingerprint: manifest.baseFingerprint,
    adapter_sha256: adapterSha256,
    parent: manifest.parent ?? null,
    strategy: manifest.strategy ?? null,
    coefficients: manifest.coefficients ?? null,
    metrics: manifest.metrics ?? {},
    precision: manifest.precision ?? null,
    files: checksums,
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

/**
 * Reads `readapt.json`, or null where the folder has none (adapters made elsewhere).
 * @throws FormatError `invalid_manifest`
 */
export async function readAdapterManifest(folder: string): Promise<AdapterManifest | null> {
  const json = await readManifestJson(folder);
  if (json === null) return null;
  if (typeof json['base_fingerprint'] !== 'string') throw invalid('base_fingerprint', 'is missing, expected a SHA-256');
  return {
    baseFingerprint: json['base_fingerprint'],
    parent: (json['parent'] ?? null) as string | null,
    strategy: (json['strategy'] ?? null) as string | null,
    coefficients: (json['coefficients'] ?? null) as AdapterManifest['coefficients'],
    metrics: (json['metrics'] ?? {}) as Record<string, number>,
    precision: (json['precision'] ?? null) as string | null,
  };
}

/**
 * Checks the folder's files against the checksums of its manifest (a folder without one passes).
 * @throws FormatError `adapter_modified` or `missing_file`, naming the file; `invalid_manifest`
 */
export async function verifyAdapterFiles(folder: string): Promise<void> {
  const json = await readManifestJson(folder);
  if (json === null) return;
  for (const [name, expected] of Object.entries(checksumsOf(json))) {
    const { sha256, bytes } = await checksum(await requireInFolder(folder, name, ADAPTER_MANIFEST));
    if (sha256 === expected.sha256) continue;
    const found = `has SHA-256 ${sha256} (${bytes} bytes), expected ${expected.sha256} (${expected.bytes} bytes) by ${ADAPTER_MANIFEST}`;
    const message = `was changed after it was written: ${found}. Take the original, or remove ${ADAPTER_MANIFEST} to use the file as it is`;
    throw new FormatError({ code: 'adapter_modified', file: name, message });
  }
}

/** A manifest that vouches for less than the adapter's two files vouches for nothing. */
function checksumsOf({ files }: Record<string, unknown>): Readonly<Record<string, FileChecksum>> {
  if (typeof files !== 'object' || files === null)
    throw invalid('files', 'is missing, expected a checksum for each file');
  for (const [name, checksum] of Object.entries(files as Record<string, Partial<FileChecksum> | null>)) {
    if (typeof checksum?.sha256 === 'string' && typeof checksum.bytes === 'number') continue;
    throw invalid('files', `is ${JSON.stringify(checksum)} for ${name}, expected sha256 and bytes`);
  }
  const missing = [ADAPTER_CONFIG, ADAPTER_WEIGHTS].find((name) => !Object.hasOwn(files, name));
  if (missing === undefined) return files as Record<string, FileChecksum>;
  throw invalid('files', `has no checksum for ${missing}`);
}

async function readManifestJson(folder: string): Promise<Record<string, unknown> | null> {
  if ((await resolveInFolder(folder, ADAPTER_MANIFEST)) === null) return null;
  const json = await readJsonInFolder(folder, ADAPTER_MANIFEST);
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  throw invalid('', 'is not a JSON object');
}

async function checksum(path: string): Promise<FileChecksum> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return { sha256: hash.digest('hex'), bytes: (await stat(path)).size };
}

function invalid(field: string, message: string): FormatError {
  const text = `${field} ${message}`.trim();
  return new FormatError({ code: 'invalid_manifest', file: ADAPTER_MANIFEST, subject: field, message: text });
}
