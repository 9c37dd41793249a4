import { realpath, stat } from 'node:fs/promises';
import nodePath from 'node:path';
import { unprocessable, type AppError } from '../contract/errors.ts';
import { DEFAULT_REVISION, parseRemoteSource, type RemoteSource, type UploadSource } from './source.ts';

const EXTERNAL_EXPECTED = 'hf://org/name, hf://org/name@revision, s3://bucket/prefix';
export const SOURCE_EXPECTED = `${EXTERNAL_EXPECTED}, upload://bmu_… or the absolute path of a folder`;
export const ADAPTER_SOURCE_EXPECTED = `${EXTERNAL_EXPECTED} or the absolute path of a folder`;

/** Source in a request: a text or an object. */
export type GivenSource =
  | string
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'hub'; readonly repo: string; readonly revision?: string; readonly token?: string }
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix?: string }
  | UploadSource;

/**
 * Place from which files are taken: a folder of this machine, or a remote source with the token that was given for it.
 */
export type Place =
  | { readonly folder: string; readonly remote: null; readonly token: null }
  | { readonly folder: null; readonly remote: RemoteSource; readonly token: string | null };

const HAS_SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;

/** Files that a request names, by a folder (`path`) or by a source (`source`). */
export interface GivenFiles {
  readonly path?: string | undefined;
  readonly source?: GivenSource | undefined;
}

/**
 * Finds the place of the files that a request names.
 * @param expected description of a valid text, for the error message
 * @throws AppError 422 `invalid_source`
 */
export function requirePlace({ path, source }: GivenFiles, expected: string): Place {
  if ((path === undefined) === (source === undefined)) {
    const found = path === undefined ? 'neither is given' : 'both are given';
    throw unprocessable('invalid_source', `the files are named by \`path\` or by \`source\`: ${found}`);
  }
  const given = source ?? { kind: 'folder', path: path! };
  const place = toPlace(given);
  if (place === null) throw unusableSource(given, expected);
  return place;
}

export function unusableSource(source: GivenSource, expected: string): AppError {
  const text = typeof source === 'string' ? source : JSON.stringify(source);
  return unprocessable('invalid_source', `source ${text} is not usable, expected ${expected}`);
}

/** Converts a source to a place; null for a text that does not name one. */
function toPlace(source: GivenSource): Place | null {
  if (typeof source === 'string') {
    if (!HAS_SCHEME.test(source)) return { folder: source, remote: null, token: null };
    const remote = parseRemoteSource(source);
    return remote === null ? null : { folder: null, remote, token: null };
  }
  if (source.kind === 'folder') return { folder: source.path, remote: null, token: null };
  if (source.kind === 'upload') return { folder: null, remote: source, token: null };
  if (source.kind === 's3') {
    return { folder: null, remote: { kind: 's3', bucket: source.bucket, prefix: source.prefix ?? '' }, token: null };
  }
  const { kind, repo, revision = DEFAULT_REVISION, token = null } = source;
  return { folder: null, remote: { kind, repo, revision }, token };
}

/**
 * Resolves a folder that a request names, and requires that it lies below one of the allowed roots, whatever links and
 * `..` the path contains. The errors do not reveal what exists outside the roots.
 *
 * @returns the folder's real path
 * @throws AppError 422 `path_not_allowed`, `path_not_found` or `not_a_folder`
 */
export async function resolveAllowedFolder(requested: string, allowedRoots: readonly string[]): Promise<string> {
  const notAllowed = () =>
    unprocessable(
      'path_not_allowed',
      allowedRoots.length === 0
        ? `path ${requested} is not allowed: READAPT_ALLOWED_ROOTS names no folder`
        : `path ${requested} is not allowed, expected a folder below one that READAPT_ALLOWED_ROOTS names`,
    );
  if (!nodePath.isAbsolute(requested) || requested.includes('\0')) throw notAllowed();
  const roots = await Promise.all(allowedRoots.map((root) => realpath(root).catch(() => root)));
  const lexical = nodePath.resolve(requested);
  if (![...roots, ...allowedRoots].some((root) => isBelow(lexical, root))) throw notAllowed();
  const real = await realpath(lexical).catch(() => null);
  if (real === null) throw unprocessable('path_not_found', `path ${requested} does not exist`);
  if (!roots.some((root) => isBelow(real, root))) throw notAllowed();
  const found = await stat(real);
  if (!found.isDirectory()) throw unprocessable('not_a_folder', `path ${requested} is a file, expected a folder`);
  return real;
}

function isBelow(child: string, root: string): boolean {
  const relative = nodePath.relative(root, child);
  return (
    relative === '' ||
    (!relative.startsWith(`..${nodePath.sep}`) && relative !== '..' && !nodePath.isAbsolute(relative))
  );
}
