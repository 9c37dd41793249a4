import path from 'node:path';
import type { Command } from 'commander';
import type { DeviceChoice } from '../../core/options/devices.ts';
import { deviceOption } from '../options/common-options.ts';
import { addEnvironmentHelp } from '../options/environment-help.ts';
import { writePrivateFile } from '../process/folders.ts';
import { integer } from '../options/parsers.ts';
import { untilStopped } from '../stack/until-stopped.ts';

interface ServeOptions {
  readonly host?: string;
  readonly port?: number;
  readonly dataDir?: string;
  readonly servingFolder?: string;
  readonly device?: DeviceChoice;
  readonly worker?: boolean;
}

export function addServeCommand(program: Command): void {
  const command = program
    .command('serve')
    .description('Start the service. Without DATABASE_URL, it comes with an embedded PostgreSQL, a queue and a worker.')
    .option('--host <address>', 'Address to listen on, instead of READAPT_HOST.')
    .option('--port <n>', 'Port to listen on, instead of READAPT_PORT; 0 takes a free one.', integer(0))
    .option('--data-dir <folder>', 'Folder for database, artifacts and checkpoints, instead of READAPT_DATA_DIR.')
    .option('--serving-folder <folder>', 'Folder that serving engines read, instead of READAPT_SERVING_FOLDER.')
    .addOption(deviceOption())
    .option('--worker', 'Run a worker beside the API. This is the default without DATABASE_URL.')
    .option('--no-worker', 'Run the API alone. This is the default with DATABASE_URL.')
    .addHelpText(
      'after',
      '\nThe first start prints the operator key, once. Where standard output is no terminal, and may be kept as a ' +
        'log, the key goes to the file operator-key in the data folder. `readapt keys create` makes another.',
    )
    .action(serve);
  addEnvironmentHelp(program, command, 'all');
}

async function serve(options: ServeOptions): Promise<void> {
  const { loadConfig } = await import('../../src/platform/config/config.ts');
  const config = loadConfig({
    ...process.env,
    ...(options.host === undefined ? {} : { READAPT_HOST: options.host }),
    ...(options.port === undefined ? {} : { READAPT_PORT: String(options.port) }),
    ...(options.dataDir === undefined ? {} : { READAPT_DATA_DIR: options.dataDir }),
    ...(options.servingFolder === undefined ? {} : { READAPT_SERVING_FOLDER: options.servingFolder }),
    ...(options.device === undefined ? {} : { READAPT_DEVICE: options.device }),
  });
  // The server loads slowly, and is needed only with usable settings.
  const { BUILD_COMMAND } = await import('../stack/dashboard.ts');
  const { startLocalStack } = await import('../stack/local-stack.ts');
  const keyFile = process.stdout.isTTY ? null : path.join(config.dataDir, 'operator-key');
  const stack = await startLocalStack(config, {
    worker: options.worker ?? config.databaseUrl === null,
    keepOperatorKey: keyFile === null ? undefined : (key) => writePrivateFile(keyFile, `${key}\n`),
  });
  const lines = [`readapt serves ${stack.url} (documentation: ${stack.url}/docs)`];
  if (stack.dashboardUrl !== null) lines.push(`dashboard: ${stack.dashboardUrl}`);
  else if (config.dashboard)
    lines.push(`the dashboard is not built in this checkout: ${BUILD_COMMAND} makes it, also while the service runs`);
  if (stack.operatorKey !== null) {
    lines.push(
      keyFile === null
        ? `operator key, shown this once: ${stack.operatorKey}`
        : `operator key written to ${keyFile}, which only this user may read: take it from there and remove the file`,
    );
  }
  // Listen for signals before printing the address, because its reader may stop the service at once.
  const stopped = untilStopped();
  process.stdout.write(`${lines.join('\n')}\n`);
  const lost = await Promise.race([stopped, stack.lost]);
  await stack.stop();
  if (lost instanceof Error) throw lost;
}
