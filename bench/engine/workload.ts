import path from 'node:path';
import { loadTokenizer } from '../../core/formats/tokenizer/tokenizer.ts';
import type { BaseModel } from '../../core/models/base-model.ts';
import { loadDataset } from '../../core/data/dataset.ts';
import type { TokenizedExample } from '../../core/data/example.ts';
import { tokenizeRows } from '../../core/data/task-data.ts';
import { TrainingSampler } from '../../core/training/training-sampler.ts';
import type { TokenIds } from './side-protocol.ts';

const DATA = path.join(import.meta.dirname, '../../examples/demo-family/data');
const TASKS = ['sst2', 'agnews'] as const;
const EVALUATION_BATCH = 32;

/** Examples that go through the model together. Both sides get exactly these. */
export interface WorkBatch {
  readonly examples: readonly TokenIds[];
  /** Input tokens that something is predicted from: all of a row but its last. */
  readonly tokens: number;
  /** Of them, in the longest row: what PyTorch pads every row to. */
  readonly longest: number;
}

export interface Workload {
  /** Steps of one round: SST-2 and AG News in turn, as the training sampler draws them. */
  readonly training: readonly WorkBatch[];
  /** The first validation rows of each task, a batch each. */
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
  const training = await Promise.all(
    TASKS.map(async (task) => drawBatches(await load(task, 'train.jsonl'), batchSize)),
  );
  const held = await Promise.all(TASKS.map((task) => load(task, 'validation.jsonl')));
  return {
    training: Array.from({ length: steps }, (_, step) => training[step % TASKS.length]!()),
    evaluation: held.map((examples) => workBatch(examples.slice(0, EVALUATION_BATCH))),
  };
}

function drawBatches(examples: readonly TokenizedExample[], batchSize: number): () => WorkBatch {
  const sampler = new TrainingSampler(examples.length, { batchSize, seed: 0 });
  return () => workBatch(sampler.next().map((index) => examples[index]!));
}

/** Ids only: what a side gets must not depend on anything else. */
export function workBatch(examples: readonly TokenIds[]): WorkBatch {
  const lengths = examples.map(({ promptIds, completionIds }) => promptIds.length + completionIds.length - 1);
  return {
    examples: examples.map(({ promptIds, completionIds }) => ({ promptIds, completionIds })),
    tokens: lengths.reduce((total, length) => total + length, 0),
    longest: Math.max(...lengths),
  };
}
