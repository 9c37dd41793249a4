import path from 'node:path';
import { chooseDevice } from '../../core/engine/devices/choose-device.ts';
import type { Config } from '../../src/platform/config/config.ts';
import { isDashboardBuilt } from '../../src/api/plugins/dashboard.ts';
import { startServer } from '../../src/api/server.ts';
import { superviseWorker, type SupervisedWorker } from './worker-supervisor.ts';

/** Service in this process, with a worker and its training process as child processes. */
export interface LocalStack {
  readonly url: string;
  /** Address of the dashboard; null if it is switched off, or not built in this checkout. */
  readonly dashboardUrl: string | null;
  /** First API key of the operator, created only when a data folder is used for the first time; otherwise null. */
  readonly operatorKey: string | null;
  /** Folder or bucket that holds the artifacts. */
  readonly artifacts: string;
  readonly worker: SupervisedWorker | null;
  /** Resolves if the embedded database has died and cannot be started again. */
  readonly lost: Promise<Error>;
  stop(): Promise<void>;
}

interface LocalStackOptions {
  readonly worker: boolean;
  /** Whether the data folder is removed when this process ends, however it ends. Default: false. */
  readonly temporary?: boolean;
  /** Stores the operator's first key before it becomes valid. If this throws, no key is created. */
  readonly keepOperatorKey?: (key: string) => Promise<void>;
}

/**
 * Starts the service and, if asked, a worker.
 * @throws DeviceUnavailableError if the worker's device does not work here; the worker would otherwise restart for ever
 */
export async function startLocalStack(config: Config, options: LocalStackOptions): Promise<LocalStack> {
  const { device, precision } = config;
  const { temporary, keepOperatorKey } = options;
  if (options.worker && (device !== 'auto' || precision !== 'auto')) await chooseDevice(device, { precision });
  const server = await startServer(config, { temporary, keepOperatorKey });
  const worker = options.worker ? superviseWorker(workerEnvironment(server.databaseUrl, config), log) : null;
  return {
    url: server.url,
    dashboardUrl: config.dashboard && isDashboardBuilt() ? server.url : null,
    operatorKey: server.operatorKey,
    artifacts: config.artifacts ?? path.join(config.dataDir, 'artifacts'),
    worker,
    lost: server.lost,
    async stop() {
      await worker?.stop();
      await server.stop();
    },
  };
}

/**
 * Environment variables of the worker process: this configuration, with the address of the database in use, which may
 * be the embedded one.
 */
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
