import type { Command } from 'commander';
import { addActions } from './actions.ts';
import { addGet } from './get.ts';
import { addList } from './list.ts';
import { addWatch } from './watch.ts';

export function register(program: Command): void {
  const jobs = program
    .command('jobs')
    .description('See the jobs of rollouts, each of which carries one adapter over; change one or many.');
  addList(jobs);
  addGet(jobs);
  addWatch(jobs);
  addActions(jobs);
}
