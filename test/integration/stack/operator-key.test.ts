import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bearer, createTestDatabase, createTestKey, untilReadable } from '../support/index.ts';
import {
  createFolder,
  createFolderWithDatabase,
  isAlive,
  postmasterOf,
  removeFolder,
  serve,
  start,
  type Served,
} from './readapt.ts';

const KEY = /rdp_[0-9a-f]{12}_[\w-]{43}/;

let folder: string;

const statusWith = async (url: string, key: string): Promise<number> =>
  (await fetch(`${url}/v1/tenants`, { headers: bearer(key) })).status;

async function create(args: string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: unknown; output: string }> {
  return start(folder, ['keys', 'create', ...args], { env }).whole();
}

// The tests are one story of one data folder.
describe('the keys of a data folder', () => {
  let server: Served;
  let file: string;

  beforeAll(async () => {
    folder = await createFolderWithDatabase();
    file = path.join(folder, 'data/operator-key');
  });
  afterAll(() => removeFolder(folder));

  test('where the file of the first one cannot be written there is no key', async () => {
    await mkdir(path.join(file, 'occupied'), { recursive: true });
    const refused = await start(folder, ['serve']).whole();
    expect(refused.code).not.toBe(0);
    expect(refused.output).toContain(`READAPT_DATA_DIR is ${folder}/data, which cannot be written (`);
    expect(refused.output).not.toMatch(KEY);
    await rm(file, { recursive: true });
  });

  test('the next start writes it to a file that only its owner may read, and to no output', async () => {
    server = await serve(folder, ['--no-worker']);
    expect(server.output()).toContain(`operator key written to ${file}`);
    expect(server.output()).not.toMatch(KEY);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await statusWith(server.url, (await readFile(file, 'utf8')).trim())).toBe(200);
  });

  test('keys create --operator uses the database of a running service, and starts that of a stopped one', async () => {
    const beside = await create(['--operator', '--name', 'night shift', '--json']);
    expect(beside.code).toBe(0);
    const created = JSON.parse(beside.output) as { name: string; key: string; expires_at: null };
    expect(created).toMatchObject({ name: 'night shift', expires_at: null, key: expect.stringMatching(KEY) });
    expect(await statusWith(server.url, created.key)).toBe(200);
    const postmaster = await postmasterOf(path.join(folder, 'data'));
    expect(await isAlive(postmaster)).toBe(true);
    server.child.kill('SIGTERM');
    expect(await server.ended).toBe(0);

    const stopped = await create(['--operator']);
    expect(stopped.code).toBe(0);
    const keys = stopped.output.match(new RegExp(KEY, 'g'));
    expect(keys).toHaveLength(1);
    await expect(postmasterOf(path.join(folder, 'data'))).rejects.toThrow('ENOENT');
    const again = await serve(folder, ['--no-worker']);
    expect(again.operatorKey).toBeNull();
    expect(await statusWith(again.url, keys![0])).toBe(200);
  });
});

describe('readapt keys create --operator', () => {
  beforeEach(async () => {
    folder = await createFolder();
  });
  afterEach(() => removeFolder(folder));

  test('lets the operator in again whose only key has expired, on the database at DATABASE_URL', async () => {
    const database = await createTestDatabase();
    try {
      const expired = await createTestKey(database.db);
      await database.db.apiKey.updateMany({ data: { expiresAt: new Date(Date.now() - 1000) } });
      const env = { DATABASE_URL: database.url };
      const server = await serve(folder, ['--no-worker'], { env });
      expect(server.operatorKey).toBeNull();
      expect(await statusWith(server.url, expired)).toBe(401);
      const expiresAt = '2100-01-31T00:00:00.000Z';
      const { code, output } = await create(['--operator', '--expires-at', expiresAt, '--json'], env);
      expect(code).toBe(0);
      const created = JSON.parse(output) as { key: string; expires_at: string };
      expect(Date.parse(created.expires_at)).toBe(Date.parse(expiresAt));
      expect(await statusWith(server.url, created.key)).toBe(200);
      await untilReadable(database.db);
      const events = await fetch(`${server.url}/v1/events`, { headers: bearer(created.key) });
      expect(await events.json()).toMatchObject({
        data: [{ type: 'api_key.created', data: { scopes: ['operator'] } }],
      });
    } finally {
      await removeFolder(folder);
      await database.close();
    }
  });

  test.each([
    [[], '--operator or --serving is missing'],
    [['--operator'], 'which holds no database'],
    [['--operator', '--expires-at', '2020-01-01T00:00:00Z'], 'expected a time in the future'],
    [['--operator', '--name', ''], 'expected 1 to 100 characters'],
  ])('%j is refused with exit code 2', async (args, message) => {
    const { code, output } = await create(args);
    expect(output).toContain(message);
    expect(code).toBe(2);
    expect(output).not.toMatch(KEY);
    expect(await readdir(folder)).not.toContain('data');
  });
});
