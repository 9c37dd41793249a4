import { Option, type Command } from 'commander';
import type { DemoOptions } from '../demo/run-demo.ts';
import { deviceOption, seedOption } from '../options/common-options.ts';

export function register(program: Command): void {
  program
    .command('demo')
    .description(
      'Carry a small fleet over to a new base model version, from beginning to end: three tenants and six adapters.',
    )
    .addOption(
      new Option('--control <which>', 'Adapters that are also trained from scratch, to measure the speed-up.')
        .choices(['sample', 'all', 'none'])
        .default('all'),
    )
    .addOption(deviceOption())
    .option('--json <file>', 'File that the report is written to as JSON.')
    .option('--keep', 'Leave the stack running and its data in place.')
    .addOption(seedOption())
    .addHelpText(
      'after',
      '\nThe exit code is 0 if every job ended as ready or not_ready, 1 if not, and 2 for a usage error.',
    )
    .action(async (options: DemoOptions) => {
      const { runDemo } = await import('../demo/run-demo.ts');
      process.exitCode = await runDemo(options);
    });
}
