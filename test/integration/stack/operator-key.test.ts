import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../../../src/lib/logger.ts';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { createDatabase } from '../../../src/platform/database/database.ts';
import { startEmbeddedPostgres } from '../../../src/platform/embedded/index.ts';
import { createApiKeyService, createAuthenticator } from '../../../src/tenants/api-keys/index.ts';
import { eventually } from '../../eventually.ts';
import { bearer, createTestDatabase, untilReadable, type TestDatabase } from '../support/index.ts';
import {
  addDatabase,
  createFolder,
  isAlive,
  postmasterOf,
  removeFolder,
  serve,
  start,
  type Served,
} from './readapt.ts';

const KEY = /rdp_[0-9a-f]{12}_[\w-]{43}/;

let folder: string;

beforeAll(async () => {
  folder = await createFolder();
});
afterAll(() => removeFolder(folder));

async function create(args: string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: unknown; output: string }> {
  return start(folder, ['keys', 'create', ...args], { env }).whole();
}

/** Caller that an API looks up by a key in a database; null if it refuses the key. */
async function callerOf(key: string, db: TestDatabase['db']): Promise<object | null> {
  return createAuthenticator({ db }).authenticate(key, createLogger({ level: 'silent', pretty: false }));
}

// The data folder is not made yet.
describe('readapt keys create', () => {
  test.concurrent.each([
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

// The tests are one story of one data folder, with the database at DATABASE_URL.
describe('the keys of the operator', () => {
  let database: TestDatabase;
  let env: NodeJS.ProcessEnv;
  let server: Served;
  let file: string;

  const statusWith = async (key: string): Promise<number> =>
    (await fetch(`${server.url}/v1/tenants`, { headers: bearer(key) })).status;

  beforeAll(async () => {
    database = await createTestDatabase();
    env = { DATABASE_URL: database.url };
    file = path.join(folder, 'data/operator-key');
  });
  afterAll(async () => {
    server?.child.kill('SIGKILL');
    await server?.ended;
    await database.close();
  });

  test('where the file of the first one cannot be written there is no key', async () => {
    await mkdir(path.join(file, 'occupied'), { recursive: true });
    const refused = await start(folder, ['serve', '--no-worker'], { env }).whole();
    expect(refused.code).not.toBe(0);
    expect(refused.output).toContain(`READAPT_DATA_DIR is ${folder}/data, which cannot be written (`);
    expect(refused.output).not.toMatch(KEY);
    expect(await database.db.apiKey.count()).toBe(0);
    await rm(file, { recursive: true });
  });

  test('the next start writes it to a file that only its owner may read, and to no output', async () => {
    server = await serve(folder, ['--no-worker'], { env });
    expect(server.output()).toContain(`operator key written to ${file}`);
    expect(server.output()).not.toMatch(KEY);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await statusWith((await readFile(file, 'utf8')).trim())).toBe(200);
  });

  test('keys create --operator lets the operator in again whose only key has expired', async () => {
    const expired = (await readFile(file, 'utf8')).trim();
    await database.db.apiKey.updateMany({ data: { expiresAt: new Date(Date.now() - 1000) } });
    expect(await callerOf(expired, database.db)).toBeNull();
    // A start makes no other key.
    const { quotas } = loadConfig({});
    expect(await createApiKeyService({ db: database.db, quotas }).ensureOperatorKey()).toBeNull();

    const expiresAt = '2100-01-31T00:00:00.000Z';
    const { code, output } = await create(['--operator', '--expires-at', expiresAt, '--json'], env);
    expect(code).toBe(0);
    const created = JSON.parse(output) as { id: string; key: string; expires_at: string };
    expect(Date.parse(created.expires_at)).toBe(Date.parse(expiresAt));
    expect(await statusWith(created.key)).toBe(200);
    await untilReadable(database.db);
    const events = await fetch(`${server.url}/v1/events`, { headers: bearer(created.key) });
    expect(await events.json()).toMatchObject({
      data: [
        { type: 'api_key.created' },
        { type: 'api_key.created', subject_id: created.id, data: { scopes: ['operator'] } },
      ],
    });
    // The server caches a key for a second, and the change in the database is not made through it.
    await eventually('the expired key is refused', async () => (await statusWith(expired)) === 401, 10_000);
  });
});

test('keys create --operator starts the database of a stopped service, and uses that of a running one', async () => {
  await addDatabase(folder);
  const dataDir = path.join(folder, 'data');
  const stopped = await create(['--operator']);
  expect(stopped.code).toBe(0);
  const keys = stopped.output.match(new RegExp(KEY, 'g'));
  expect(keys).toHaveLength(1);
  await expect(postmasterOf(dataDir)).rejects.toThrow('ENOENT');

  const running = await startEmbeddedPostgres(dataDir, { exclusive: true, durable: false });
  const db = createDatabase(running.url, { poolSize: 1 });
  try {
    const postmaster = await postmasterOf(dataDir);
    const beside = await create(['--operator', '--name', 'night shift', '--json']);
    expect(beside.code, beside.output).toBe(0);
    const created = JSON.parse(beside.output) as { name: string; key: string; expires_at: null };
    expect(created).toMatchObject({ name: 'night shift', expires_at: null, key: expect.stringMatching(KEY) });
    expect(await isAlive(postmaster)).toBe(true);
    for (const key of [keys![0], created.key]) expect(await callerOf(key, db)).toMatchObject({ kind: 'operator' });
  } finally {
    await db.$disconnect();
    await running.stop();
  }
});
