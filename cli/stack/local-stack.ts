import path from 'node:path';
import { chooseDevice } from '../../core/engine/devices/choose-device.ts';
import type { Config } from '../../src/platform/config/config.ts';
import { isDashboardBuilt } from '../../src/api/plugins/dashboard.ts';
import { startServer } from '../../src/api/server.ts';
import { superviseWorker, type SupervisedWorker } from './worker-supervisor.ts';

/** The service in this process, and a worker with its training process as processes of their own. */
export interface LocalStack {
  readonly url: string;
  /** Null where the dashboard is switched off, or is not built in this checkout. */
  readonly dashboardUrl: string | null;
  /** Set only at the first start with a data folder; null later. */
  readonly operatorKey: string | null;
  /** The folder or the bucket of the artifacts. */
  readonly artifacts: string;
  readonly worker: SupervisedWorker | null;
  /** Resolves if the embedded database has died and cannot be started again. */
  readonly lost: Promise<Error>;
  stop(): Promise<void>;
}

interface LocalStackOptions {
  readonly worker: boolean;
  /** Removes the data folder when this process ends, however it ends (default false). */
  readonly temporary?: boolean;
  /** Is given the operator's first key before it counts. If this throws, there is no key. */
  readonly keepOperatorKey?: (key: string) => Promise<void>;
}

/** @throws DeviceUnavailableError if the worker's device does not work here, where the worker would restart for ever */
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

/** Passes on the configuration, with the address of the database, which may be the embedded one. */
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
