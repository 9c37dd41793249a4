import path from 'node:path';
import { loadTokenizer } from '../../core/formats/tokenizer/tokenizer.ts';
import type { BaseModel } from '../../core/models/base-model.ts';
import { loadDataset } from '../../core/data/dataset.ts';
import { promptTokens, type TokenizedExample } from '../../core/data/example.ts';
import { tokenizeRows } from '../../core/data/tokenize.ts';
import { TrainingSampler } from '../../core/training/training-sampler.ts';
import { sum } from './report/statistics.ts';
import type { TokenIds } from './sides/side-protocol.ts';

const DATA = path.join(import.meta.dirname, '../../examples/demo-family/data');
const TASKS = ['sst2', 'agnews'] as const;
const EVALUATION_BATCH = 32;

/** Examples that go through the model together. All sides get exactly the same. */
export interface WorkBatch {
  readonly examples: readonly TokenIds[];
  /** Number of input tokens from which a token is predicted: all tokens of a row but its last. */
  readonly tokens: number;
  /** Number of those tokens in the longest row, to which PyTorch pads every row. */
  readonly longest: number;
}

export interface Workload {
  /** The training steps of one round: SST-2 and AG News batches in turn, as the training sampler draws them. */
  readonly training: readonly WorkBatch[];
  /** One batch for each task, of its first validation rows. */
  readonly evaluation: readonly WorkBatch[];
}

export interface WorkloadOptions {
  /** Folder of the base model. */
  readonly folder: string;
  readonly config: BaseModel['config'];
  readonly batchSize: number;
  readonly steps: number;
}

/** Tokenizes SST-2 and AG News rows for the model, without any change to their lengths, and draws the batches. */
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
    evaluation: held.map((examples) => workBatch(examples.slice(0, EVALUATION_BATCH).map(idsOf))),
  };
}

function drawBatches(examples: readonly TokenizedExample[], batchSize: number): () => WorkBatch {
  const sampler = new TrainingSampler(examples, { batchSize, seed: 0 });
  return () => workBatch(sampler.next().map(idsOf));
}

function idsOf(example: TokenizedExample): TokenIds {
  const promptIds = promptTokens(example);
  return { promptIds, completionIds: example.tokenIds.slice(promptIds.length) };
}

/** Makes a batch that holds nothing but token ids. */
export function workBatch(examples: readonly TokenIds[]): WorkBatch {
  const lengths = examples.map(({ promptIds, completionIds }) => promptIds.length + completionIds.length - 1);
  return {
    examples: examples.map(({ promptIds, completionIds }) => ({ promptIds, completionIds })),
    tokens: sum(lengths),
    longest: Math.max(...lengths),
  };
}
