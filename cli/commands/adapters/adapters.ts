import type { Command } from 'commander';
import { addGet } from './get.ts';
import { addList } from './list.ts';
import { addPull } from './pull.ts';
import { addPush } from './push/push.ts';

export function register(program: Command): void {
  const adapters = program
    .command('adapters')
    .description('Import adapters into a running service, see which versions they have, and fetch them.');
  addPush(adapters);
  addPull(adapters);
  addList(adapters);
  addGet(adapters);
}
