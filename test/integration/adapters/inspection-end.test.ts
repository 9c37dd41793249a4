import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compiledModule } from '../../compiled/index.ts';
import { createTestApp, type TestApp } from '../support/index.ts';

const API = fileURLToPath(new URL('./api-process.ts', import.meta.url));

let service: TestApp;
beforeAll(async () => {
  service = await createTestApp();
});
afterAll(() => service.close());

async function startApi(): Promise<ChildProcess> {
  const env = {
    ...process.env,
    DATABASE_URL: service.database.url,
    READAPT_DATA_DIR: service.dataDir,
    READAPT_PORT: '0',
    READAPT_LOG_LEVEL: process.env.READAPT_TEST_LOG_LEVEL ?? 'silent',
  };
  const child = fork(compiledModule(API), { execArgv: [], env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  await once(child, 'message');
  return child;
}

// Tests of hostile adapters are in test/attack.
it.runIf(process.platform === 'linux')('inspections end with the API, however it ends', async () => {
  const api = await startApi();
  const pid = api.pid!;
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').map(Number);
  expect(children.length).toBeGreaterThan(0);
  api.kill('SIGKILL');
  await once(api, 'exit');
  await expect.poll(() => children.filter(isAlive)).toEqual([]);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
