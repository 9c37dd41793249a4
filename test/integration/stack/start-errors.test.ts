import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';
import { createFolder, removeFolder, start } from './readapt.ts';

const GOLDEN = path.resolve('test/fixtures/golden/llama-gqa-tied/base');

let folder: string;
let database: TestDatabase;
let listening: Server;
let port: string;

beforeAll(async () => {
  folder = await createFolder();
  database = await createTestDatabase();
  await writeFile(path.join(folder, 'file'), '');
  await writeFile(path.join(folder, 'rows.jsonl'), '{"prompt": "a", "completion": "b"}\n');
  listening = createServer().listen(0, '127.0.0.1');
  await once(listening, 'listening');
  port = String((listening.address() as AddressInfo).port);
});
afterAll(async () => {
  listening.close();
  await database.close();
  await removeFolder(folder);
});

/** Runs a command to its end. `FOLDER`, `TAKEN` and `POSTGRES` are placeholders for what the tests have created. */
async function run(command: string, env: Record<string, string>): Promise<{ code: unknown; output: string }> {
  const fill = (text: string): string =>
    text.replaceAll('FOLDER', folder).replaceAll('TAKEN', port).replaceAll('POSTGRES', database.url);
  const filled = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, fill(value)]));
  return start(folder, fill(command).split(' '), { env: { READAPT_LOG_LEVEL: 'silent', ...filled } }).whole();
}

const withUser = (user: string): string => {
  const url = new URL(database.url);
  [url.username, url.password] = user.split(':') as [string, string];
  return url.toString();
};

describe('a setting that cannot be used ends the command with exit code 2 and a line that names it', () => {
  const unparsable = { DATABASE_URL: 'postgresql://me:hunter2#@db/readapt' };

  async function isRefused(command: string, env: Record<string, string>, message: string): Promise<void> {
    const { code, output } = await run(command, env);
    expect(output).toContain(message.replaceAll('FOLDER', folder).replaceAll('TAKEN', port));
    expect(code).toBe(2);
    expect(output).not.toContain('hunter2');
  }

  test.concurrent.each<[string, Record<string, string>, string]>([
    ['serve', unparsable, 'DATABASE_URL is not usable, expected postgresql://'],
    ['worker', unparsable, 'DATABASE_URL is not usable, expected postgresql://'],
    ['migrate', unparsable, 'DATABASE_URL is not usable, expected postgresql://'],
    ['serve', { REDIS_URL: 'redis://me:hunter2#@redis' }, 'REDIS_URL is not usable, expected redis://'],
    [
      'serve',
      { READAPT_DATA_DIR: '/sys/readapt/data' },
      'READAPT_DATA_DIR is /sys/readapt/data, which cannot be written (E',
    ],
    [
      'serve',
      { READAPT_DATA_DIR: 'FOLDER/file/data' },
      'READAPT_DATA_DIR is FOLDER/file/data, which cannot be written (ENOTDIR)',
    ],
    [
      'worker',
      { DATABASE_URL: 'POSTGRES', READAPT_DATA_DIR: 'FOLDER/file' },
      'READAPT_DATA_DIR is FOLDER/file, which cannot be written',
    ],
    [
      `eval --base ${GOLDEN} --data FOLDER/rows.jsonl`,
      { READAPT_MEMORY: 'much' },
      'READAPT_MEMORY is "much", expected a size',
    ],
  ])('%s with %j', isRefused);

  // These open the same data folder, so one follows the other.
  test.each<[string, Record<string, string>, string]>([
    [
      'serve',
      { DATABASE_URL: 'POSTGRES', READAPT_PORT: 'TAKEN' },
      'READAPT_PORT is TAKEN, on which another process listens (127.0.0.1)',
    ],
    [
      'serve --host 203.0.113.7',
      { DATABASE_URL: 'POSTGRES' },
      'READAPT_HOST is 203.0.113.7, which is no address of this machine (EADDRNOTAVAIL)',
    ],
  ])('%s with %j', isRefused);

  test.concurrent.each(['serve', 'worker', 'migrate'])('%s on a database that refuses it', async (command) => {
    const url = new URL(database.url);
    const refused = await run(command, { DATABASE_URL: withUser('readapt:hunter2') });
    expect(refused.output).toContain(
      `DATABASE_URL: PostgreSQL at ${url.host} refuses the user "readapt" (28P01): correct its name and password`,
    );
    expect(refused.output).not.toContain('hunter2');
    expect(refused.code).toBe(2);
    url.pathname = '/absent';
    const absent = await run(command, { DATABASE_URL: url.toString() });
    expect(absent.output).toContain(`DATABASE_URL: PostgreSQL at ${url.host} has no database "absent": create it`);
    expect(absent.output).not.toContain(url.password);
    expect(absent.code).toBe(2);
  });
});

describe('what may be mended without another setting ends the command with exit code 1 and names the setting', () => {
  test.concurrent.each(['serve', 'worker', 'migrate'])('%s without its database', async (command) => {
    const { code, output } = await run(command, { DATABASE_URL: 'postgresql://me:hunter2@127.0.0.1:1/readapt' });
    expect(output).toContain(
      'DATABASE_URL: PostgreSQL at 127.0.0.1:1 cannot be reached (ECONNREFUSED): start it, or correct the address',
    );
    expect(output).not.toContain('hunter2');
    expect(code).toBe(1);
  });

  test.concurrent.each(['serve', 'worker'])('%s without its Redis', async (command) => {
    const { code, output } = await run(command, {
      DATABASE_URL: 'POSTGRES',
      REDIS_URL: 'redis://me:hunter2@127.0.0.1:1',
    });
    expect(output).toContain(
      'REDIS_URL: Redis at 127.0.0.1:1 cannot be reached (ECONNREFUSED): start it, or correct the address',
    );
    expect(output).not.toContain('hunter2');
    expect(code).toBe(1);
  });
});
