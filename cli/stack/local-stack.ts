import path from 'node:path';
import type { Config } from '../../src/config/config.ts';
import { startServer } from '../../src/server.ts';
import { chooseDevice } from '../../core/engine/devices/choose-device.ts';
import { adapterInspector } from './adapter-inspector.ts';
import { superviseWorker, type SupervisedWorker } from './worker-supervisor.ts';

/** The service in this process and, beside it, a worker with its training process. */
export interface LocalStack {
  readonly url: string;
  /** Shown once, at the first start of a data folder; null later. */
  readonly operatorKey: string | null;
  readonly artifactsDir: string;
  readonly worker: SupervisedWorker | null;
  stop(): Promise<void>;
}

/** @throws DeviceUnavailableError where the worker's device does not work here: it would start again and again in vain */
export async function startLocalStack(config: Config, options: { worker: boolean }): Promise<LocalStack> {
  const { device, precision } = config;
  if (options.worker && (device !== 'auto' || precision !== 'auto')) await chooseDevice(device, { precision });
  const server = await startServer(config, { inspector: adapterInspector });
  const worker = options.worker ? superviseWorker(workerEnvironment(server.databaseUrl, config), log) : null;
  return {
    url: server.url,
    operatorKey: server.operatorKey,
    artifactsDir: path.join(config.dataDir, 'artifacts'),
    worker,
    async stop() {
      await worker?.stop();
      await server.stop();
    },
  };
}

/** The worker reads the same configuration, and is told where the database is when it is the embedded one. */
function workerEnvironment(databaseUrl: string, config: Config): NodeJS.ProcessEnv {
  return {
    ...process.env,
    DATABASE_URL: databaseUrl,
    REDIS_URL: config.redisUrl ?? '',
    READAPT_DATA_DIR: config.dataDir,
    READAPT_ALLOWED_ROOTS: config.allowedRoots.join(path.delimiter),
    READAPT_LOG_LEVEL: config.logLevel,
    READAPT_DEVICE: config.device,
    READAPT_PRECISION: config.precision,
  };
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}
