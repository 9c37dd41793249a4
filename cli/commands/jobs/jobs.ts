import type { Command } from 'commander';
import { addJobsActionCommands } from './actions.ts';
import { addJobsGetCommand } from './get.ts';
import { addJobsListCommand } from './list.ts';
import { addJobsWatchCommand } from './watch.ts';

export function addJobsCommands(program: Command): void {
  const jobs = program
    .command('jobs')
    .description('See the jobs of rollouts, each of which carries one adapter over; change one or many.');
  addJobsListCommand(jobs);
  addJobsGetCommand(jobs);
  addJobsWatchCommand(jobs);
  addJobsActionCommands(jobs);
}
