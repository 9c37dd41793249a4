import type { Command } from 'commander';
import { addAdaptersGetCommand } from './get.ts';
import { addAdaptersListCommand } from './list.ts';
import { addAdaptersPullCommand } from './pull.ts';
import { addAdaptersPushCommand } from './push/push.ts';

export function addAdaptersCommands(program: Command): void {
  const adapters = program
    .command('adapters')
    .description('Import adapters into a running service, see which versions they have, and fetch them.');
  addAdaptersPushCommand(adapters);
  addAdaptersPullCommand(adapters);
  addAdaptersListCommand(adapters);
  addAdaptersGetCommand(adapters);
}
