import { Option, type Command } from 'commander';
import type { DeviceChoice } from '../../core/options/devices.ts';
import { deviceOption, integer } from '../options/common-options.ts';
import { untilStopped } from '../stack/until-stopped.ts';

interface ServeOptions {
  readonly host?: string;
  readonly port?: number;
  readonly dataDir?: string;
  readonly device?: DeviceChoice;
  readonly worker?: boolean;
}

export function register(program: Command): void {
  program
    .command('serve')
    .description('start the service: embedded PostgreSQL, queue and worker unless DATABASE_URL is set')
    .option('--host <address>', 'address to listen on (READAPT_HOST)')
    .option('--port <n>', 'port to listen on, 0 for a free one (READAPT_PORT)', integer(0))
    .option('--data-dir <folder>', 'database, artifacts and checkpoints (READAPT_DATA_DIR)')
    .addOption(deviceOption())
    .addOption(new Option('--worker', 'run a worker beside the API (default without DATABASE_URL)'))
    .addOption(new Option('--no-worker', 'run the API alone (default with DATABASE_URL)'))
    .addHelpText('after', '\nThe first start of a data folder prints the operator key once.')
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  const { loadConfig } = await import('../../src/config/config.ts');
  const { startLocalStack } = await import('../stack/local-stack.ts');
  const config = loadConfig({
    ...process.env,
    ...(options.host === undefined ? {} : { READAPT_HOST: options.host }),
    ...(options.port === undefined ? {} : { READAPT_PORT: String(options.port) }),
    ...(options.dataDir === undefined ? {} : { READAPT_DATA_DIR: options.dataDir }),
    ...(options.device === undefined ? {} : { READAPT_DEVICE: options.device }),
  });
  const stack = await startLocalStack(config, { worker: options.worker ?? config.databaseUrl === null });
  process.stdout.write(`readapt serves ${stack.url} (documentation: ${stack.url}/docs)\n`);
  if (stack.operatorKey !== null) {
    process.stdout.write(`operator key, shown this once: ${stack.operatorKey}\n`);
  }
  await untilStopped();
  await stack.stop();
}
