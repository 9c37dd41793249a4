import os from 'node:os';
import path from 'node:path';

/** Names the folder of compiled graphs, or says `off`. */
export const GRAPH_CACHE_VARIABLE = 'READAPT_GRAPH_CACHE';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The folder in which compiled graphs are kept for later processes; null: nowhere. Unset or blank is the user's own cache
 * folder, and never one that others can write to: what lies there is run.
 */
export function graphCacheDir(env: Environment): string | null {
  const text = env[GRAPH_CACHE_VARIABLE]?.trim() ?? '';
  return text === '' ? defaultGraphCacheDir(env) : parseGraphCacheDir(text);
}

/** An absolute path; null for `off`. */
export function parseGraphCacheDir(text: string): string | null {
  return text === 'off' ? null : path.resolve(text);
}

/** null for a user who has no home. */
export function defaultGraphCacheDir(env: Environment): string | null {
  const folder = userCacheDir(env);
  return folder === null ? null : path.join(folder, 'readapt', 'graphs');
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
    return null; // a user id without an entry in the password file
  }
}
