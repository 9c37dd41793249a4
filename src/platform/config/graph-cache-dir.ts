import os from 'node:os';
import path from 'node:path';

/** The variable that names the folder of compiled graphs, or is `off`. */
export const GRAPH_CACHE_VARIABLE = 'READAPT_GRAPH_CACHE';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The folder in which compiled graphs are kept for later processes; null if they are not kept. By default it lies in
 * the user's own cache folder: other users must not be able to write to it, because Readapt runs the graphs that it
 * finds there.
 */
export function graphCacheDir(env: Environment): string | null {
  const text = env[GRAPH_CACHE_VARIABLE]?.trim() ?? '';
  return text === '' ? defaultGraphCacheDir(env) : parseGraphCacheDir(text);
}

/** The folder as an absolute path; null for `off`. */
export function parseGraphCacheDir(text: string): string | null {
  return text === 'off' ? null : path.resolve(text);
}

/** The folder in the user's cache folder; null if the user has no home. */
export function defaultGraphCacheDir(env: Environment): string | null {
  return userCacheFolder(env, 'graphs');
}

/** A folder of Readapt in the user's cache folder; null if the user has no home. */
export function userCacheFolder(env: Environment, name: string): string | null {
  const folder = userCacheDir(env);
  return folder === null ? null : path.join(folder, 'readapt', name);
}

function userCacheDir(env: Environment): string | null {
  const named = process.platform === 'win32' ? env.LOCALAPPDATA : env.XDG_CACHE_HOME;
  if (named !== undefined && path.isAbsolute(named)) return named;
  const home = homeDir();
  return home === null ? null : path.join(home, process.platform === 'darwin' ? 'Library/Caches' : '.cache');
}

function homeDir(): string | null {
  try {
    const home = os.homedir();
    return path.isAbsolute(home) && home !== path.parse(home).root ? home : null;
  } catch {
    return null; // The user id has no entry in the password file.
  }
}
