import path from 'node:path';
import type { JobOutcome } from '../../../../core/adaptation/job-outcome.ts';
import type { JobSpec } from '../../../../core/adaptation/job-spec.ts';
import type { GivenJobOptions } from '../../../../core/options/job-options.ts';
import type { FinalMessage } from '../../../../workers/training/protocol.ts';
import type { TinyFamily } from './tiny-task.ts';

/** Options that fine-tune the old adapter quickly. */
export const TINY_TRAINING: GivenJobOptions = {
  strategy: 'warm-start',
  max_steps: 30,
  batch_size: 8,
  learning_rate: 5e-3,
  evaluate_every: 5,
  seed: 4,
};

/** Makes a job on the tiny family with the default options and a gate that no adapter passes. */
export function plainJob(family: TinyFamily, name: string, changes: Partial<JobSpec> = {}): JobSpec {
  return {
    jobId: name,
    kind: 'adaptation',
    oldBase: family.oldBase,
    newBase: family.newBase,
    adapter: family.adapter,
    data: { train: family.train, validation: family.validation },
    metric: 'loss',
    gate: { kind: 'absolute', target: -1 },
    evolution: null,
    options: {},
    workDir: path.join(family.folder, 'jobs', name),
    ...changes,
  };
}

/** Makes a {@link plainJob} with the options of {@link TINY_TRAINING}, which uses all of its steps. */
export function tinyJob(family: TinyFamily, name: string, changes: Partial<JobSpec> = {}): JobSpec {
  return plainJob(family, name, { ...changes, options: { ...TINY_TRAINING, ...changes.options } });
}

/** Returns the outcome of an `adapt` request; throws if it failed. */
export function outcomeOf(message: FinalMessage): JobOutcome {
  if (message.type === 'outcome' && message.request === 'adapt') return message.outcome;
  throw new Error(`expected the outcome of a job, found ${JSON.stringify(message)}`);
}

/** Returns the best candidate without its time, which differs from run to run. */
export function bestOf({ best }: JobOutcome): object | null {
  if (best === null) return null;
  const { elapsedMs: _, ...rest } = best;
  return rest;
}
