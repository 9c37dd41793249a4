import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { FAMILY } from '../../cli/demo/fleet.ts';
import { startLocalStack } from '../../cli/stack/local-stack.ts';
import { loadConfig } from '../../src/platform/config/config.ts';

/** Running service with one worker, which may read the demo's models. */
export interface DemoStack {
  /** The API's origin, `http://host:port`. */
  readonly origin: string;
  readonly operatorKey: string;
  /** Writes a line of progress to stderr. */
  log(line: string): void;
}

/** Starts a service in a temporary folder, runs a benchmark on it, stops it and removes the folder. */
export async function withDemoStack<T>(name: string, run: (stack: DemoStack) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(os.tmpdir(), `readapt-bench-${name}-`));
  const config = loadConfig({
    READAPT_DATA_DIR: folder,
    READAPT_PORT: '0',
    READAPT_ALLOWED_ROOTS: FAMILY,
    READAPT_LOG_LEVEL: 'warn',
    DATABASE_URL: '',
    REDIS_URL: '',
  });
  const stack = await startLocalStack(config, { worker: true, temporary: true });
  try {
    const log = (line: string): void => void process.stderr.write(`${line}\n`);
    return await run({ origin: stack.url, operatorKey: stack.operatorKey!, log });
  } finally {
    await stack.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
