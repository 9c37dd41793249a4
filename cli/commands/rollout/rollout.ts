import type { Command } from 'commander';
import { addRolloutCreateCommand } from './create/create.ts';
import { addRolloutGetCommand } from './get.ts';
import { addRolloutListCommand } from './list.ts';
import { addRolloutSteeringCommands } from './steer.ts';
import { addRolloutWatchCommand } from './watch.ts';

export function addRolloutCommands(program: Command): void {
  const rollout = program
    .command('rollout')
    .description('Begin a rollout, which carries a fleet over to a version of its base model; watch it and steer it.');
  addRolloutCreateCommand(rollout);
  addRolloutListCommand(rollout);
  addRolloutGetCommand(rollout);
  addRolloutWatchCommand(rollout);
  addRolloutSteeringCommands(rollout);
}
