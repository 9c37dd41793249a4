import path from 'node:path';
import { loadTokenizer } from '../../workers/formats/tokenizer.ts';
import type { BaseModel } from '../../workers/models/base-model.ts';
import { bucketLabels, bucketLength, inputLength, sortIntoBuckets, TrainingSampler } from '../../workers/training/batching.ts';
import { loadDataset } from '../../workers/training/dataset.ts';
import type { TokenizedExample } from '../../workers/training/example.ts';
import { tokenizeRows } from '../../workers/training/task-data.ts';
import type { TokenIds } from './side-protocol.ts';

const DATA = path.join(import.meta.dirname, '../../examples/demo-family/data');
const TASKS = ['sst2', 'agnews'] as const;
const EVALUATION_BATCH = 32;

/** Examples that go through the model together. Both sides get exactly these. */
export interface WorkBatch {
  readonly examples: readonly TokenIds[];
  /** Real input tokens. */
  readonly tokens: number;
  /** Equal for batches that share a compiled graph. */
  readonly shape: string;
}

export interface Workload {
  /** Steps of one round: SST-2 and AG News in turn, as the training sampler draws them. */
  readonly training: readonly WorkBatch[];
  /** The first validation rows of each task, in batches of 32. */
  readonly evaluation: readonly WorkBatch[];
}

export interface WorkloadOptions {
  readonly folder: string;
  readonly config: BaseModel['config'];
  readonly batchSize: number;
  readonly steps: number;
}

/** SST-2 and AG News rows as they are, as the model's own tokens. */
export async function prepareWorkload({ folder, config, batchSize, steps }: WorkloadOptions): Promise<Workload> {
  const tokenizer = await loadTokenizer(folder);
  const load = async (task: string, file: string) => {
    return tokenizeRows(await loadDataset(path.join(DATA, task, file)), { tokenizer, config });
  };
  const training = await Promise.all(TASKS.map(async (task) => drawBatches(await load(task, 'train.jsonl'), batchSize)));
  const held = await Promise.all(TASKS.map((task) => load(task, 'validation.jsonl')));
  return {
    training: Array.from({ length: steps }, (_, step) => training[step % TASKS.length]!()),
    evaluation: held.flatMap((examples) => evaluationBatches(examples.slice(0, EVALUATION_BATCH))),
  };
}

function drawBatches(examples: readonly TokenizedExample[], batchSize: number): () => WorkBatch {
  const sampler = new TrainingSampler(examples, { batchSize, seed: 0 });
  return () => workBatch(sampler.next().examples.map((index) => examples[index]!));
}

function evaluationBatches(examples: readonly TokenizedExample[]): WorkBatch[] {
  const groups = sortIntoBuckets(examples, { batchSize: EVALUATION_BATCH });
  return groups.map((group) => workBatch(group.examples.map((index) => examples[index]!)));
}

/** Ids only: what a side gets must not depend on anything else. */
export function workBatch(examples: readonly TokenizedExample[]): WorkBatch {
  const labels = examples.reduce((total, { completionIds }) => total + completionIds.length, 0);
  const length = bucketLength(Math.max(...examples.map(inputLength)));
  return {
    examples: examples.map(({ promptIds, completionIds }) => ({ promptIds, completionIds })),
    tokens: examples.reduce((total, example) => total + inputLength(example), 0),
    shape: `${examples.length}x${length}, ${bucketLabels(labels)} labels`,
  };
}
