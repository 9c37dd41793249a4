import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  pinnedFilesKey,
  readWhole,
  requirePlace,
  SOURCE_EXPECTED,
  SourceError,
  sourceName,
  sourceText,
  type PinnedFiles,
  type PinnedSource,
  type RemoteSource,
  type SourceFile,
  type Sources,
} from '../../platform/base-sources/index.ts';
import { SETTINGS } from '../../platform/config/settings.ts';
import { resolveAllowedFolder } from '../../platform/base-sources/place.ts';
import { isStorable, type Prisma } from '../../platform/database/database.ts';
import { AppError, unprocessable } from '../../platform/contract/errors.ts';
import type { SecretBox } from '../../platform/config/secret-box.ts';
import type { CreateBaseModelVersion } from './base-model.schemas.ts';
import type { BaseSource } from './source.schemas.ts';

export interface SourceContext {
  readonly allowedRoots: readonly string[];
  /** Returns the reader of files in hubs, buckets and uploads. Files in folders are read without it. */
  readonly sources: () => Sources;
  /**
   * Encryption of the access tokens that are stored; null if no secret key is set, and requests with a token are
   * refused.
   */
  readonly box: SecretBox | null;
}

/** Place of a base model version's files and the content of their config.json, as the version's row stores them. */
export interface FoundFiles {
  readonly path: string;
  /** Name under which engines know the version if the request gives none. */
  readonly defaultName: string;
  readonly config: Prisma.InputJsonObject;
  /** Files that are pinned in a hub, a bucket or an upload; null if the version's files lie in a folder. */
  readonly pinned: (PinnedFiles & { readonly key: string }) | null;
  readonly token: string | null;
}

/** Time limit for listing a version's files at their source and reading its config.json, in milliseconds. */
const PIN_MS = 60_000;

/**
 * Finds the files that a request to register a base model version names, and reads their config.json. Files in a hub or
 * a bucket are pinned to their present state: later changes are not fetched.
 * @throws AppError 422, 503 `source_unreachable`, or 503 `secret_key_missing` for a token that cannot be encrypted
 */
export async function findFiles(
  files: Pick<CreateBaseModelVersion, 'path' | 'source'>,
  context: SourceContext,
): Promise<FoundFiles> {
  const { folder, remote, token } = requirePlace(files, SOURCE_EXPECTED);
  if (folder !== null) {
    const found = await resolveAllowedFolder(folder, context.allowedRoots);
    return { path: found, defaultName: folder, config: await readModelFolder(found), pinned: null, token: null };
  }
  if (token !== null && context.box === null) throw keyMissing();
  return pin(remote, token, context.sources());
}

async function pin(remote: RemoteSource, token: string | null, sources: Sources): Promise<FoundFiles> {
  const request = { token, signal: AbortSignal.timeout(PIN_MS) };
  try {
    const pinned = await sources.pin(remote, request);
    const file = pinned.files.find(({ name }) => name === 'config.json')!;
    const text = (await readWhole(sources, pinned.source, file, request)).toString('utf8');
    return {
      path: sourceText(pinned.source),
      defaultName: sourceName(remote),
      config: checkConfig(parseConfig(text)),
      pinned: { ...pinned, key: pinnedFilesKey(pinned) },
      token,
    };
  } catch (error) {
    if (error instanceof SourceError) throw toProblem(error);
    if (request.signal.aborted) throw tooSlow(remote);
    throw error;
  }
}

function toProblem(error: SourceError): AppError {
  const { code, message } = error;
  if (code === 'source_unreachable') return new AppError({ code, status: 503, message, cause: error });
  if (code === 'source_unauthorized' || code === 'source_not_found') return unprocessable(code, message);
  return unprocessable('source_refused', message);
}

function tooSlow(source: RemoteSource): AppError {
  const message = `${sourceText(source)} has not listed its files within ${PIN_MS / 1000} s: try again`;
  return new AppError({ code: 'source_unreachable', status: 503, message });
}

function keyMissing(): AppError {
  const message = `tokens are stored encrypted, for which ${SETTINGS.secretKeys.variable} has to be set`;
  return new AppError({ code: 'secret_key_missing', status: 503, message });
}

/** Describes the source of a base model version's files in the form in which the operator sees it. */
export function toBaseSource(row: {
  readonly path: string;
  readonly source: unknown;
  readonly sourceFiles: unknown;
}): BaseSource {
  if (row.source === null) return { kind: 'folder', path: row.path };
  const source = row.source as PinnedSource;
  const listed = row.sourceFiles as SourceFile[];
  const files = listed.map(({ name, size, sha256, etag }) => ({ name, size, sha256, etag }));
  if (source.kind !== 'hub') return { ...source, files };
  const { hasToken, ...hub } = source;
  return { ...hub, has_token: hasToken, files };
}

const MAX_CONFIG_BYTES = 1 << 20;
/** Names of the sizes that the config.json of every decoder has. */
const SIZES = ['hidden_size', 'num_hidden_layers', 'num_attention_heads', 'vocab_size'] as const;

/**
 * Checks quickly that a folder may be a Hugging Face model: it has a config.json with a decoder's sizes, and a
 * safetensors file. All files are read later, when the version is analyzed.
 *
 * @returns the content of config.json
 * @throws AppError 422 `invalid_base_model` with `file` and `expected`
 */
async function readModelFolder(folder: string): Promise<Prisma.InputJsonObject> {
  const config = checkConfig(await readConfig(path.join(folder, 'config.json')));
  const names = await readdir(folder);
  if (!names.some((name) => name.endsWith('.safetensors'))) {
    throw invalid('model.safetensors', 'the folder has no *.safetensors file', 'weights in one file or in shards');
  }
  return config;
}

/**
 * Requires the fields that the config.json of every decoder has: an architecture and sizes.
 * @throws AppError 422 `invalid_base_model` that names a missing or wrong field
 */
export function checkConfig(config: Record<string, unknown>): Prisma.InputJsonObject {
  if (typeof config.model_type !== 'string' || config.model_type === '') {
    throw invalid(
      'config.json',
      `model_type is ${JSON.stringify(config.model_type) ?? 'missing'}`,
      'the name of an architecture',
    );
  }
  for (const name of SIZES) {
    const value = config[name];
    if (!Number.isSafeInteger(value) || (value as number) < 1) {
      throw invalid('config.json', `${name} is ${JSON.stringify(value) ?? 'missing'}`, 'an integer of at least 1');
    }
  }
  return config as Prisma.InputJsonObject;
}

async function readConfig(file: string): Promise<Record<string, unknown>> {
  const found = await stat(file).catch(() => null);
  if (found === null || !found.isFile())
    throw invalid('config.json', 'it does not exist', 'a Hugging Face config.json');
  if (found.size > MAX_CONFIG_BYTES) {
    throw invalid('config.json', `it has ${found.size} bytes`, `at most ${MAX_CONFIG_BYTES} bytes`);
  }
  return parseConfig(await readFile(file, 'utf8'));
}

/**
 * Parses the text of a config.json.
 *
 * @throws AppError 422 `invalid_base_model` if the text is not a JSON object, or has characters that PostgreSQL cannot
 *   store
 */
export function parseConfig(text: string): Record<string, unknown> {
  const unusable: string[] = [];
  const value = parseJson(text, (key, found) => {
    if (!isStorable(key) || (typeof found === 'string' && !isStorable(found))) unusable.push(key);
    return found;
  });
  if (unusable[0] !== undefined) {
    const key = JSON.stringify(unusable[0].slice(0, 200));
    throw invalid(
      'config.json',
      `${key} has a NUL or half of a character in its name or its text`,
      'text in Unicode without NUL',
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid('config.json', 'it is not a JSON object', 'a Hugging Face config.json');
}

/** Parses JSON, passing each value through `revive`; null for a text that is not JSON. */
function parseJson(text: string, revive: (key: string, value: unknown) => unknown): unknown {
  try {
    return JSON.parse(text, revive);
  } catch {
    return null;
  }
}

function invalid(file: string, found: string, expected: string) {
  return unprocessable('invalid_base_model', `${file}: ${found}, expected ${expected}`, { file, expected });
}
