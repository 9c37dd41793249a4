import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { unprocessable } from '../contract/errors.ts';

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
  if (!path.isAbsolute(requested) || requested.includes('\0')) throw notAllowed();
  const roots = await Promise.all(allowedRoots.map((root) => realpath(root).catch(() => root)));
  const lexical = path.resolve(requested);
  if (![...roots, ...allowedRoots].some((root) => isBelow(lexical, root))) throw notAllowed();
  const real = await realpath(lexical).catch(() => null);
  if (real === null) throw unprocessable('path_not_found', `path ${requested} does not exist`);
  if (!roots.some((root) => isBelow(real, root))) throw notAllowed();
  const found = await stat(real);
  if (!found.isDirectory()) throw unprocessable('not_a_folder', `path ${requested} is a file, expected a folder`);
  return real;
}

function isBelow(child: string, root: string): boolean {
  const relative = path.relative(root, child);
  return relative === '' || (!relative.startsWith(`..${path.sep}`) && relative !== '..' && !path.isAbsolute(relative));
}
