import type { Job, JobFilter, RetryJob } from '../../remote/client.ts';
import { UsageError } from '../../process/errors.ts';
import { identifier } from '../../remote/find.ts';
import type { YesOption } from '../../screen/ask.ts';
import type { Service, ServiceOptions } from '../../remote/service.ts';

export type JobActionCommand = 'pause' | 'resume' | 'cancel' | 'retry';

export interface ActionOptions extends ServiceOptions, YesOption {
  readonly rollout?: string;
  readonly state?: JobFilter['states'];
  readonly tenant?: readonly string[];
  readonly adapter?: readonly string[];
  readonly error?: readonly string[];
  readonly label?: Readonly<Record<string, string>>;
  readonly all?: boolean;
  readonly dryRun?: boolean;
  readonly strategy?: string;
  readonly prefer?: string;
  readonly maxSteps?: number;
  readonly learningRate?: number;
  readonly searchEvaluations?: number;
}

interface Change {
  readonly id: string;
  readonly options: ActionOptions;
}

/**
 * Pauses, resumes, cancels or retries one job.
 * @throws UsageError for options that choose among many jobs, which would have no effect
 */
export async function changeJob({ client }: Service, action: JobActionCommand, { id, options }: Change): Promise<Job> {
  const { cancelJob, pauseJob, resumeJob, retryJob } = await import('../../remote/client.ts');
  const { state, tenant, adapter, error, label, all, dryRun } = options;
  if ([state, tenant, adapter, error, label, all, dryRun].some((given) => given !== undefined)) {
    throw new UsageError('--state, --tenant, --adapter, --error, --label, --all and --dry-run need --rollout');
  }
  const path = { id: identifier(id, 'job', 'a job') };
  switch (action) {
    case 'pause':
      return pauseJob({ client, path });
    case 'resume':
      return resumeJob({ client, path });
    case 'cancel':
      return cancelJob({ client, path });
    case 'retry':
      return retryJob({ client, path, body: retryOf(options) });
  }
}

/**
 * Returns the body of a retry request with the job options that were given, which the job keeps from then on. The body
 * is empty if none were given.
 */
export function retryOf({ strategy, prefer, maxSteps, learningRate, searchEvaluations }: ActionOptions): RetryJob {
  const given = {
    ...(strategy !== undefined && { strategy }),
    ...(prefer !== undefined && { prefer }),
    ...(maxSteps !== undefined && { max_steps: maxSteps }),
    ...(learningRate !== undefined && { learning_rate: learningRate }),
    ...(searchEvaluations !== undefined && { search_evaluations: searchEvaluations }),
  } as NonNullable<RetryJob['options']>;
  return Object.keys(given).length === 0 ? {} : { options: given };
}
