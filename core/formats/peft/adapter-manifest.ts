import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { quote, shorten } from '../../options/quote.ts';
import { FormatError } from '../errors.ts';
import { readJsonInFolder, requireInFolder, resolveInFolder } from '../folder-files.ts';
import { isObject, type JsonObject } from '../json.ts';
import { ADAPTER_CONFIG, ADAPTER_JSON } from './peft-config.ts';
import { ADAPTER_WEIGHTS } from './peft-keys.ts';

export const ADAPTER_MANIFEST = 'readapt.json';

/** Origin of a published adapter, stored beside it as `readapt.json`. */
export interface AdapterManifest {
  /** Fingerprint of the base model that the adapter was made for. */
  readonly baseFingerprint: string;
  /** Identifier of the adapter version that this one was carried over from. */
  readonly parent?: string | null;
  /**
   * Strategy that made the adapter: `reuse`, `revert`, `relora`, `warm-start` or `scratch`; `train` if it was trained
   * directly.
   */
  readonly strategy?: string | null;
  /**
   * Whether the adapter is provisional: published without a measurement, to serve until a version that has passed its
   * gate is published.
   */
  readonly provisional?: boolean;
  /** Fusion coefficients, if the adapter was fused. */
  readonly coefficients?: ManifestCoefficients | null;
  readonly metrics?: Readonly<Record<string, number>>;
  /** Precision of the base's matrices (`f32`, `int8`, …) when the adapter was made. */
  readonly precision?: string | null;
  /** Precision of the base's matrices when the adapter was measured. An absolute target is confirmed in `f32`. */
  readonly judgedIn?: string | null;
  /** Whether the adapter was trained to predict the end of the text after each completion; null if unknown. */
  readonly appendEos?: boolean | null;
  /** Length limit of the adapter's training rows in tokens; null if unknown. */
  readonly maxLength?: number | null;
}

interface ManifestCoefficients {
  readonly alpha: number;
  readonly beta: number;
}

interface FileChecksum {
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * Encodes a manifest as JSON.
 * @param files names of files in `folder`, whose checksums are added
 */
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
    ...(manifest.provisional === true && { provisional: true }),
    coefficients: manifest.coefficients ?? null,
    metrics: manifest.metrics ?? {},
    precision: manifest.precision ?? null,
    judged_in: manifest.judgedIn ?? manifest.precision ?? null,
    append_eos: manifest.appendEos ?? null,
    max_length: manifest.maxLength ?? null,
    files: checksums,
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

/**
 * Reads `readapt.json`. Returns null for a folder without one, which holds an adapter made by another tool.
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
    ...(json['provisional'] === true && { provisional: true }),
    coefficients: (json['coefficients'] ?? null) as AdapterManifest['coefficients'],
    metrics: (json['metrics'] ?? {}) as Record<string, number>,
    precision: (json['precision'] ?? null) as string | null,
    judgedIn: (json['judged_in'] ?? json['precision'] ?? null) as string | null,
    ...rowFormatOf(json),
  };
}

/**
 * Reads and checks the row format in a manifest: `append_eos` and `max_length`. The manifest of an imported adapter may
 * come from anybody, and these fields affect computations.
 */
function rowFormatOf({ append_eos: appendEos = null, max_length: maxLength = null }: JsonObject) {
  if (appendEos !== null && typeof appendEos !== 'boolean')
    throw invalid('append_eos', `is ${quote(appendEos)}, expected true, false or null`);
  if (maxLength !== null && !(Number.isInteger(maxLength) && (maxLength as number) > 1))
    throw invalid('max_length', `is ${quote(maxLength)}, expected an integer above 1 or null`);
  return { appendEos, maxLength: maxLength as number | null };
}

/**
 * Checks the folder's files against the checksums in its manifest. A folder without a manifest passes.
 * @throws FormatError `adapter_modified` or `missing_file`, naming the file; `invalid_manifest`
 */
export async function verifyAdapterFiles(folder: string): Promise<void> {
  const json = await readManifestJson(folder);
  if (json === null) return;
  for (const [name, expected] of Object.entries(checksumsOf(json))) {
    const { sha256, bytes } = await checksum(await requireInFolder(folder, name, ADAPTER_MANIFEST));
    if (sha256 === expected.sha256) continue;
    const found = `has SHA-256 ${sha256} (${bytes} bytes)`;
    const wanted = `expected ${shorten(expected.sha256)} (${expected.bytes} bytes) by ${ADAPTER_MANIFEST}`;
    const advice = `Take the original, or remove ${ADAPTER_MANIFEST} to use the file as it is`;
    const message = `was changed after it was written: ${found}, ${wanted}. ${advice}`;
    throw new FormatError({ code: 'adapter_modified', file: name, message });
  }
}

/**
 * Returns the checksums in a manifest, which must cover both of the adapter's files: a file without a checksum could
 * change unnoticed.
 */
function checksumsOf({ files }: JsonObject): Readonly<Record<string, FileChecksum>> {
  if (typeof files !== 'object' || files === null)
    throw invalid('files', 'is missing, expected a checksum for each file');
  for (const [name, checksum] of Object.entries(files as Record<string, Partial<FileChecksum> | null>)) {
    if (typeof checksum?.sha256 === 'string' && typeof checksum.bytes === 'number') continue;
    throw invalid('files', `is ${quote(checksum)} for ${shorten(name)}, expected sha256 and bytes`);
  }
  const missing = [ADAPTER_CONFIG, ADAPTER_WEIGHTS].find((name) => !Object.hasOwn(files, name));
  if (missing === undefined) return files as Record<string, FileChecksum>;
  throw invalid('files', `has no checksum for ${missing}`);
}

async function readManifestJson(folder: string): Promise<JsonObject | null> {
  if ((await resolveInFolder(folder, ADAPTER_MANIFEST)) === null) return null;
  const json = await readJsonInFolder(folder, ADAPTER_MANIFEST, ADAPTER_JSON);
  if (isObject(json)) return json;
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
