import type { Command } from 'commander';
import type { DeviceChoice } from '../../core/options/devices.ts';
import { UsageError } from '../process/errors.ts';
import { deviceOption } from '../options/common-options.ts';
import { addEnvironmentHelp } from '../options/environment-help.ts';
import { untilStopped } from '../stack/until-stopped.ts';

export function addWorkerCommand(program: Command): void {
  const command = program
    .command('worker')
    .description('Run rollouts and adaptation jobs from the queue. Each device needs a worker of its own.')
    .addOption(deviceOption())
    .addHelpText(
      'after',
      '\nAt SIGTERM the worker gives its job back and stops, at SIGUSR2 it ends its job first. It needs DATABASE_URL.',
    )
    .action(async ({ device }: { readonly device?: DeviceChoice }) => {
      const { loadConfig } = await import('../../src/platform/config/config.ts');
      const config = loadConfig({ ...process.env, ...(device === undefined ? {} : { READAPT_DEVICE: device }) });
      if (config.databaseUrl === null) {
        throw new UsageError(
          'DATABASE_URL is not set; without it, `readapt serve` runs a worker on its embedded database itself',
        );
      }
      // The worker loads slowly, and is needed only with usable settings.
      const { startWorker } = await import('../../workers/start/start-worker.ts');
      const worker = await startWorker(config);
      process.on('SIGUSR2', () => worker.drain());
      await untilStopped(worker.drained);
      await worker.stop();
    });
  addEnvironmentHelp(program, command, 'worker');
}
