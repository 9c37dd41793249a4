import { fork, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { compiledModule } from '../../compiled/index.ts';
import type { Fleet } from '../queue/fleet.ts';
import type { TestQueue } from '../queue/test-queue.ts';

const WORKER = fileURLToPath(new URL('./worker-child.ts', import.meta.url));

/** Starts a worker on a queue and a fleet's data folder, in a process of its own that a test can kill. */
export function startWorkerProcess(queue: TestQueue, fleet: Fleet, more: NodeJS.ProcessEnv = {}): ChildProcess {
  const env = {
    ...process.env,
    DATABASE_URL: queue.database.url,
    REDIS_URL: queue.redisUrl ?? '',
    READAPT_DATA_DIR: path.join(fleet.folder, 'data'),
    READAPT_LOG_LEVEL: process.env.READAPT_TEST_LOG_LEVEL ?? 'silent',
    ...more,
  };
  return fork(compiledModule(WORKER), { execArgv: [], env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}
