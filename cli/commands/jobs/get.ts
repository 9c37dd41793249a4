import type { Command } from 'commander';
import { createOutput } from '../../screen/output.ts';
import { identifier } from '../../remote/find.ts';
import { addServiceOptions, withService, type ServiceOptions } from '../../remote/service.ts';
import { painterOf } from '../../screen/paint.ts';
import { jobRows } from './job-text.ts';

export function addJobsGetCommand(jobs: Command): void {
  const command = jobs
    .command('get')
    .description('Show how a job stands, what it has reached, and where its time has gone.')
    .argument('<job>', 'Identifier of the job.')
    .action(get);
  addServiceOptions(command, ['readapt jobs get job_…', 'readapt jobs get job_… --json']);
}

async function get(id: string, options: ServiceOptions): Promise<void> {
  const { getJob } = await import('../../remote/client.ts');
  const path = { id: identifier(id, 'job', 'a job') };
  const job = await withService(options, ({ client }) => getJob({ client, path }));
  createOutput(options).result(job, jobRows(job, painterOf(process.stdout)));
}
