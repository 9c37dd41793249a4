import type { ChangedRolloutJobs, JobFilter, RetryRolloutJobs } from '../../remote/client.ts';
import { UsageError } from '../../process/errors.ts';
import { requireConfirmation } from '../../screen/ask.ts';
import { identifier } from '../../remote/find.ts';
import type { Service } from '../../remote/service.ts';
import { note, printJson } from '../../screen/print.ts';
import { retryOf, type ActionOptions, type JobActionCommand } from './change-job.ts';

/**
 * Numbers of jobs that matched a filter, that were changed and, for each reason, that were left unchanged. In a dry
 * run, these are the numbers that a real run would give.
 */
interface Counts {
  readonly dry_run: boolean;
  readonly matched: number;
  readonly changed: number;
  readonly left: readonly { readonly code: string; readonly jobs: number }[];
}

/** Changes the jobs of a rollout that match a filter, after showing their number and asking for confirmation. */
export async function changeByFilter(
  service: Service,
  action: JobActionCommand,
  options: ActionOptions,
): Promise<void> {
  const rollout = identifier(options.rollout ?? '', 'rol', 'a rollout');
  const filter = filterOf(options);
  if (filter === undefined && options.all !== true) {
    throw new UsageError(`no filter is given: add one, or --all to ${action} every job of the rollout`);
  }
  const body = { ...(filter && { filter }), ...(action === 'retry' && retryOf(options)) };
  const preview = await changeAll(service, { action, rollout, body: { ...body, dry_run: true } });
  const applies = options.dryRun === true || preview.changed === 0;
  if (!applies) {
    const what = `${action} ${preview.changed} jobs of rollout ${rollout}${leftText(preview)}`;
    await requireConfirmation(options, what);
  }
  const counts = applies ? preview : await changeAll(service, { action, rollout, body });
  if (options.json) return printJson(counts);
  const verb = counts.dry_run ? 'would be changed' : 'are changed';
  process.stdout.write(
    `${counts.changed} of ${counts.matched} jobs to which this applies ${verb}${leftText(counts)}\n`,
  );
}

function filterOf({ state, tenant, adapter, error, label }: ActionOptions): JobFilter | undefined {
  const filter: JobFilter = {
    ...(state && { states: [...state] }),
    ...(tenant && { tenants: [...tenant] }),
    ...(adapter && { adapters: [...adapter] }),
    ...(error && { error_codes: [...error] }),
    ...(label && { labels: label }),
  };
  return Object.keys(filter).length === 0 ? undefined : filter;
}

function leftText({ left }: Counts): string {
  const parts = left.map(({ code, jobs }) => `${jobs} ${code}`);
  return parts.length === 0 ? '' : `; left as they are: ${parts.join(', ')}`;
}

interface Bulk {
  readonly action: JobActionCommand;
  readonly rollout: string;
  readonly body: RetryRolloutJobs;
}

/** Repeats a request to change jobs until no job is left to change. One request handles at most 10,000 jobs. */
async function changeAll(service: Service, bulk: Bulk): Promise<Counts> {
  let total: Counts = { dry_run: bulk.body.dry_run === true, matched: 0, changed: 0, left: [] };
  for (let cursor: string | null | undefined; cursor !== null;) {
    const part = await changeSome(service, {
      ...bulk,
      body: { ...bulk.body, ...(cursor !== undefined && { cursor }) },
    });
    total = added(total, part);
    cursor = part.next_cursor;
    if (cursor !== null) note(`${total.changed} jobs so far …`);
  }
  return total;
}

async function changeSome({ client }: Service, { action, rollout, body }: Bulk): Promise<ChangedRolloutJobs> {
  const { cancelRolloutJobs, pauseRolloutJobs, resumeRolloutJobs, retryRolloutJobs } =
    await import('../../remote/client.ts');
  const request = { client, path: { id: rollout }, body };
  switch (action) {
    case 'pause':
      return pauseRolloutJobs(request);
    case 'resume':
      return resumeRolloutJobs(request);
    case 'cancel':
      return cancelRolloutJobs(request);
    case 'retry':
      return retryRolloutJobs(request);
  }
}

function added(total: Counts, part: ChangedRolloutJobs): Counts {
  const left = new Map(total.left.map(({ code, jobs }) => [code, jobs]));
  for (const { code, jobs } of part.left) left.set(code, (left.get(code) ?? 0) + jobs);
  return {
    dry_run: total.dry_run,
    matched: total.matched + part.matched,
    changed: total.changed + part.changed,
    left: [...left].map(([code, jobs]) => ({ code, jobs })),
  };
}
