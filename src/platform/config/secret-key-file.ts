import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../../core/formats/atomic-file.ts';
import { type Config } from './config.ts';
import { SETTINGS } from './settings.ts';
import { SetupError } from './setup-error.ts';
import { SECRET_KEY_PATTERN } from './settings/delivery.ts';

/**
 * Name of the file with the key that encrypts stored secrets, in the data folder of a service with the embedded
 * database.
 */
export const SECRET_KEY_FILE = 'secret-key';

/**
 * Finds the keys by which a process other than the API decrypts stored secrets: the keys of the configuration, or else
 * the key in the file of the data folder.
 */
export async function knownSecretKeys({ secretKeys, dataDir }: Config): Promise<readonly string[]> {
  if (secretKeys.length > 0) return secretKeys;
  const key = await readFile(path.join(dataDir, SECRET_KEY_FILE), 'utf8').catch(() => '');
  return key.trim() === '' ? [] : [key.trim()];
}

/**
 * Completes the configuration with a key that encrypts stored secrets, if none is configured. A service with the
 * embedded database creates such a key once and keeps it in its data folder, readable only by this user. A service with
 * an external database gets no key, because all of its processes need the same one.
 *
 * Call this while this process holds the data folder exclusively.
 *
 * @throws SetupError if the file does not contain a key
 */
export async function withSecretKey(config: Config): Promise<Config> {
  if (config.secretKeys.length > 0 || config.databaseUrl !== null) return config;
  const file = path.join(config.dataDir, SECRET_KEY_FILE);
  if (!existsSync(file)) {
    // This process holds the data folder, so no other process creates a key.
    await writeFileAtomic(file, async (handle) => {
      await handle.chmod(0o600);
      await handle.writeFile(`${randomBytes(32).toString('base64')}\n`);
    });
  }
  const key = (await readFile(file, 'utf8')).trim();
  if (!SECRET_KEY_PATTERN.test(key)) {
    const message =
      `${file} does not hold 32 bytes in base64: restore it from a backup, or set ` +
      `${SETTINGS.secretKeys.variable} to the key; ` +
      'without the old key the secrets of webhook endpoints are lost, and have to be rotated';
    throw new SetupError('secret_key_unusable', message, { badInput: true });
  }
  return { ...config, secretKeys: [key] };
}
