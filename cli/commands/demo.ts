import { Option, type Command } from 'commander';
import type { DemoOptions } from '../demo/run-demo.ts';
import { deviceOption, seedOption } from '../options/common-options.ts';

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description(
      'Carry a small fleet over to a new base model version, from beginning to end: three tenants and six adapters.',
    )
    .addOption(
      new Option(
        '--control <which>',
        'Adapters that are also trained from scratch, to measure the speed-up. By default all are, and none with ' +
          '--waves.',
      ).choices(['sample', 'all', 'none']),
    )
    .addOption(deviceOption())
    .option('--json <file>', 'File that the report is written to as JSON.')
    .option('--keep', 'Leave the stack running and its data in place.')
    .option(
      '--waves',
      'Show how a rollout is steered: a dry run, a canary, a pause by itself, its release by a person, and a rollback.',
      false,
    )
    .addOption(seedOption())
    .addHelpText(
      'after',
      '\nThe exit code is 0 if every job ended as ready or not_ready, 1 if not, or if --waves was not paused or ' +
        'rolled back, and 2 for a usage error.',
    )
    .action(async (options: DemoOptions) => {
      const { runDemo } = await import('../demo/run-demo.ts');
      process.exitCode = await runDemo(options);
    });
}
