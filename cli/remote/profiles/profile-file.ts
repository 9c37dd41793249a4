import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { UsageError } from '../../process/errors.ts';
import { writePrivateFile } from '../../process/folders.ts';

/** Address of a service, with an API key for it. */
export interface Profile {
  readonly url: string;
  readonly key: string;
}

/** Profiles that this user has saved, and the name of the one that commands use by default. */
export interface ProfileBook {
  readonly current: string | null;
  readonly profiles: ReadonlyMap<string, Profile>;
}

const PROFILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const PROFILE_NAME_EXPECTED =
  '1 to 64 letters, digits, ".", "_" and "-", of which the first is a letter or a digit';

export function isProfileName(text: string): boolean {
  return PROFILE_NAME.test(text);
}

/**
 * Path of the profile file: `readapt/config.json` in XDG_CONFIG_HOME, if that is an absolute path, or else in
 * `~/.config`.
 */
export function profileFile(env: NodeJS.ProcessEnv = process.env): string {
  const configured = env.XDG_CONFIG_HOME ?? '';
  const folder = path.isAbsolute(configured) ? configured : path.join(homedir(), '.config');
  return path.join(folder, 'readapt', 'config.json');
}

/**
 * Reads the profiles; there are none if the file does not exist.
 * @throws UsageError if other users may read the file, which holds keys, or if it is not a profile file
 */
export async function readProfiles(file: string): Promise<ProfileBook> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (handle === null) return { current: null, profiles: new Map() };
  try {
    await requirePrivate(handle, file);
    return parse(await handle.readFile('utf8'), file);
  } finally {
    await handle.close();
  }
}

/** Writes the profiles atomically, into a file that only this user may read. */
export async function writeProfiles(file: string, { current, profiles }: ProfileBook): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const document = { current, profiles: Object.fromEntries(profiles) };
  await writePrivateFile(file, `${JSON.stringify(document, null, 2)}\n`);
}

async function requirePrivate(handle: FileHandle, file: string): Promise<void> {
  const { mode } = await handle.stat();
  if (process.platform === 'win32' || (mode & 0o077) === 0) return;
  throw new UsageError(
    `${file} holds API keys, and its mode ${(mode & 0o777).toString(8)} lets other users at it: ` +
      `run \`chmod 600 ${file}\`, and rotate the keys if somebody may have read them`,
    'profile_file_not_private',
  );
}

function parse(text: string, file: string): ProfileBook {
  const document = parseJson(text);
  if (!isRecord(document) || !isRecord(document.profiles)) throw broken(file, 'it is no JSON object with "profiles"');
  const profiles = new Map<string, Profile>();
  for (const [name, profile] of Object.entries(document.profiles)) {
    if (!isProfileName(name) || !isProfile(profile)) throw broken(file, `profile ${JSON.stringify(name)} is not valid`);
    profiles.set(name, { url: profile.url, key: profile.key });
  }
  const { current } = document;
  return { current: typeof current === 'string' && profiles.has(current) ? current : null, profiles };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isProfile(value: unknown): value is Profile {
  return isRecord(value) && typeof value.url === 'string' && typeof value.key === 'string';
}

function broken(file: string, why: string): UsageError {
  return new UsageError(
    `${file} cannot be used: ${why}. Mend it, or remove it and run \`readapt login\``,
    'profile_file_broken',
  );
}
