import { Option, type Command } from 'commander';
import type { Job } from '../../remote/client.ts';
import { UsageError } from '../../process/errors.ts';
import { integer, number } from '../../options/parsers.ts';
import { labels, several } from '../../remote/collect.ts';
import { addServiceOptions, withService, type ServiceOptions } from '../../remote/service.ts';
import { printJson } from '../../screen/print.ts';
import type { ActionOptions, JobActionCommand } from './change-job.ts';

const DESCRIPTIONS: Readonly<Record<JobActionCommand, string>> = {
  pause: 'Stop jobs, which keep what they have done.',
  resume: 'Let paused jobs go on from where they were.',
  cancel: 'End jobs. Their adapters stay as they are.',
  retry: 'Begin jobs anew that have ended without a publication, with other options if you like.',
};

export function addJobsActionCommands(jobs: Command): void {
  for (const action of ['pause', 'resume', 'cancel', 'retry'] as const) addAction(jobs, action);
  const approve = jobs
    .command('approve')
    .description("Let jobs begin that wait for their tenant's approval.")
    .argument('<jobs...>', 'Identifiers of the jobs.')
    .action(approveJobs);
  addServiceOptions(approve, ['readapt jobs approve job_…']);
}

function addAction(jobs: Command, action: JobActionCommand): void {
  const command = jobs
    .command(action)
    .description(`${DESCRIPTIONS[action]} Either those that are named, or those of a rollout that meet a filter.`)
    .argument('[jobs...]', 'Identifiers of the jobs.')
    .optionsGroup('By filter:')
    .option(
      '--rollout <id>',
      'Jobs of this rollout that meet all of what follows. It is shown what would happen, and asked.',
    )
    .addOption(new Option('--state <state>', 'Jobs in this state. May be given several times.').argParser(several))
    .addOption(new Option('--tenant <id>', 'Jobs of this tenant. May be given several times.').argParser(several))
    .addOption(new Option('--adapter <id>', 'Jobs of this adapter. May be given several times.').argParser(several))
    .addOption(
      new Option('--error <code>', 'Jobs whose error has this code. May be given several times.').argParser(several),
    )
    .addOption(
      new Option('--label <key=value>', 'Jobs of adapters with this label. May be given several times.').argParser(
        labels,
      ),
    )
    .option('--all', 'All jobs of the rollout, without a filter.')
    .option('--dry-run', 'Only say how many jobs would be changed.')
    .option('--yes', 'Do not ask.')
    .optionsGroup('Options:');
  command.action((ids: string[], options: ActionOptions) => run(action, ids, options));
  const isRetry = action === 'retry';
  const filter = isRetry ? '--state not_ready --error gate_not_reached --strategy warm-start' : '--label tier=gold';
  addServiceOptions(command, [`readapt jobs ${action} job_…`, `readapt jobs ${action} --rollout rol_… ${filter}`]);
  if (isRetry) addRetryOptions(command);
}

/**
 * Adds the options of `retry` that change how a job carries over its adapter. The job keeps these options for later
 * retries. The service checks their ranges.
 */
function addRetryOptions(command: Command): void {
  command
    .optionsGroup('Options that the jobs have of their own from then on:')
    .option('--strategy <name>', 'How adapters are carried over.')
    .option('--prefer <what>', 'What the strategy auto keeps where it cannot keep both: old_behavior or new_base.')
    .option('--max-steps <n>', 'Largest number of optimizer steps.', integer(0))
    .option(
      '--learning-rate <x>',
      'Peak learning rate.',
      number((value) => value > 0, 'a positive number'),
    )
    .option('--search-evaluations <n>', 'Number of coefficient pairs that the search measures.', integer(0));
}

async function run(action: JobActionCommand, ids: readonly string[], options: ActionOptions): Promise<void> {
  const { changeByFilter } = await import('./by-filter.ts');
  const { changeJob } = await import('./change-job.ts');
  if (ids.length > 0 && options.rollout !== undefined) {
    throw new UsageError('jobs are named, and a filter is given with --rollout: give one of both');
  }
  if (options.rollout !== undefined) return withService(options, (service) => changeByFilter(service, action, options));
  if (ids.length === 0) throw new UsageError('no job is named: give identifiers job_…, or --rollout with a filter');
  await withService(options, async (service) => {
    const changed: Job[] = [];
    for (const id of ids) changed.push(await changeJob(service, action, { id, options }));
    report(changed, options);
  });
}

async function approveJobs(ids: readonly string[], options: ServiceOptions): Promise<void> {
  const { approveJob } = await import('../../remote/client.ts');
  const { identifier } = await import('../../remote/find.ts');
  await withService(options, async ({ client }) => {
    const changed: Job[] = [];
    for (const id of ids) changed.push(await approveJob({ client, path: { id: identifier(id, 'job', 'a job') } }));
    report(changed, options);
  });
}

function report(jobs: readonly Job[], options: ServiceOptions): void {
  if (options.json) return printJson({ data: jobs });
  for (const { id, adapter_name: name, state } of jobs) process.stdout.write(`job ${id} of ${name} is ${state}\n`);
}
