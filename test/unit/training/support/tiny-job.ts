import path from 'node:path';
import type { AdaptOptions, AdaptOutcome, FinalMessage, JobSpec } from '../../../../workers/training/protocol.ts';
import type { TinyFamily } from './tiny-task.ts';

/** Fine-tunes the old adapter, quickly. */
export const TINY_TRAINING: AdaptOptions = {
  strategy: 'warm-start',
  maxSteps: 30,
  batchSize: 8,
  learningRate: 5e-3,
  evaluateEvery: 5,
  seed: 4,
};

/** A job on the tiny family with the product's own options, whose gate is out of reach. */
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

/** The same with {@link TINY_TRAINING} but for what is changed: it spends its whole budget. */
export function tinyJob(family: TinyFamily, name: string, changes: Partial<JobSpec> = {}): JobSpec {
  return plainJob(family, name, { ...changes, options: { ...TINY_TRAINING, ...changes.options } });
}

/** The outcome of an `adapt` request that did not fail. */
export function outcomeOf(message: FinalMessage): AdaptOutcome {
  if (message.type === 'outcome' && message.request === 'adapt') return message.outcome;
  throw new Error(`expected the outcome of a job, found ${JSON.stringify(message)}`);
}
