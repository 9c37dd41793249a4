import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { SECRET_KEY_FILE, withSecretKey } from '../../../src/platform/config/secret-key-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-key-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const config = (more: Record<string, string> = {}) => loadConfig({ READAPT_DATA_DIR: folder, ...more });

test('a service with the embedded database makes a key once, which only its user may read', async () => {
  const { secretKeys } = await withSecretKey(config());
  expect(secretKeys).toHaveLength(1);
  expect(Buffer.from(secretKeys[0]!, 'base64')).toHaveLength(32);
  expect((await withSecretKey(config())).secretKeys).toEqual(secretKeys);
  const file = path.join(folder, SECRET_KEY_FILE);
  expect((await readFile(file, 'utf8')).trim()).toBe(secretKeys[0]);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test('the setting goes before the file, and a database of its own has no file', async () => {
  const key = Buffer.alloc(32, 7).toString('base64');
  expect((await withSecretKey(config({ READAPT_SECRET_KEY: key }))).secretKeys).toEqual([key]);
  const external = { DATABASE_URL: 'postgresql://readapt@localhost/readapt' };
  expect((await withSecretKey(config(external))).secretKeys).toEqual([]);
  await expect(stat(path.join(folder, SECRET_KEY_FILE))).rejects.toThrow('ENOENT');
});

test('a file that holds no key stops the start, and is not replaced', async () => {
  const file = path.join(folder, SECRET_KEY_FILE);
  await writeFile(file, 'cut off');
  await expect(withSecretKey(config())).rejects.toThrow(/secret-key does not hold 32 bytes .* READAPT_SECRET_KEY/);
  expect(await readFile(file, 'utf8')).toBe('cut off');
});
