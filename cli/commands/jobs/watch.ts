import type { Command } from 'commander';
import { identifier } from '../../remote/find.ts';
import { addServiceOptions, withService, type ServiceOptions } from '../../remote/service.ts';

const EXIT_CODES = `
Exit codes: 0 the job is ready; 5 it has ended otherwise; 130 you have stopped watching with Ctrl-C, which changes
nothing of the job. --json prints NDJSON: a line {"job": …} for each change.`;

export function addJobsWatchCommand(jobs: Command): void {
  const command = jobs
    .command('watch')
    .description('Show a job until it has ended. Ctrl-C ends the watching, and not the job.')
    .argument('<job>', 'Identifier of the job.')
    .action(watch);
  addServiceOptions(command, ['readapt jobs watch job_…']).addHelpText('after', EXIT_CODES);
}

async function watch(id: string, options: ServiceOptions): Promise<void> {
  const { watchJob } = await import('../../watch/watch-job.ts');
  const job = identifier(id, 'job', 'a job');
  await withService(options, (service) => watchJob(service, job, options), { following: true });
}
