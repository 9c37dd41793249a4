import { Option, type Command } from 'commander';
import type { DemoOptions } from '../demo/run-demo.ts';
import { deviceOption, integer } from '../options/common-options.ts';

export function register(program: Command): void {
  program
    .command('demo')
    .description('re-adapt a small fleet from beginning to end: three tenants, six adapters, one new base version')
    .addOption(
      new Option('--control <which>', 'adapters that are also trained from scratch, to measure the speed-up')
        .choices(['sample', 'all', 'none'])
        .default('sample'),
    )
    .addOption(deviceOption())
    .option('--json <file>', 'write the report as JSON to this file')
    .option('--keep', 'leave the stack running and its data in place', false)
    .option('--seed <n>', 'seed of everything that is random', integer(0), 0)
    .addHelpText('after', '\nExit code: 0 when every job ended ready or not_ready, 1 otherwise, 2 for a usage error.')
    .action(async (options: DemoOptions) => {
      const { runDemo } = await import('../demo/run-demo.ts');
      process.exitCode = await runDemo(options);
    });
}
