import os from 'node:os';
import path from 'node:path';
import type { Environment } from './setting.ts';

/** Path of a folder of Readapt in the user's cache folder; null if the user has no home folder. */
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
