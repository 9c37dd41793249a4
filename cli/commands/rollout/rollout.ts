import type { Command } from 'commander';
import { addCreate } from './create/create.ts';
import { addGet } from './get.ts';
import { addList } from './list.ts';
import { addSteering } from './steer.ts';
import { addWatch } from './watch.ts';

export function register(program: Command): void {
  const rollout = program
    .command('rollout')
    .description('Begin a rollout, which carries a fleet over to a version of its base model; watch it and steer it.');
  addCreate(rollout);
  addList(rollout);
  addGet(rollout);
  addWatch(rollout);
  addSteering(rollout);
}
