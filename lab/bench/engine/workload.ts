import { promptTokens } from '../../../core/data/example.ts';
import { loadTokenizer } from '../../../core/formats/tokenizer/tokenizer.ts';
import type { BaseModel } from '../../../core/models/base-model.ts';
import { Random } from '../../../core/statistics/random.ts';
import { sum } from './report/statistics.ts';
import { loadRows, type RowKind } from './rows.ts';
import type { TokenIds } from './sides/side-protocol.ts';

/** Examples that go through the model together. */
export interface WorkBatch {
  readonly examples: readonly TokenIds[];
  /** Number of input tokens with a next token: all tokens of a row but its last. */
  readonly tokens: number;
  /** Number of those tokens in the longest row, to which PyTorch pads every row. */
  readonly longest: number;
}

/** Prompts that are continued together. */
export interface PromptBatch {
  readonly prompts: readonly (readonly number[])[];
  /** Number of tokens that are generated for each prompt. */
  readonly newTokens: number;
  /** Number of tokens that are generated for all prompts together. */
  readonly tokens: number;
  /** Number of tokens of all prompts together. */
  readonly promptTokens: number;
  /** Number of tokens of the longest prompt, to which PyTorch pads every prompt. */
  readonly longest: number;
}

/** Order of the rows: `grouped` puts rows of similar length together, which saves padding; `unsorted` is random. */
export type Batching = 'grouped' | 'unsorted';

/** Work that is timed. */
export const FIGURES = ['training', 'evaluation', 'generation'] as const;

export type Figure = (typeof FIGURES)[number];

/** Batches of equal size over one set of rows, once for each order of the rows. */
type Batched<Batch> = Readonly<Record<Batching, readonly Batch[]>>;

export interface Workload {
  readonly training: Batched<WorkBatch>;
  readonly evaluation: Batched<WorkBatch>;
  readonly generation: Batched<PromptBatch>;
}

export interface WorkloadOptions {
  readonly rows: RowKind;
  /** Folder of the base model. */
  readonly folder: string;
  readonly config: BaseModel['config'];
  /** Rows of a training step; a batch of evaluation or generation has twice as many. */
  readonly batchSize: number;
  readonly steps: number;
  /** Tokens that are generated for each prompt. */
  readonly newTokens: number;
}

/** Number of batches whose rows are sorted by length together, as in `group_by_length` of transformers. */
const GROUPED_BATCHES = 50;

/** Number of batches of evaluation, and of generation, in a round. */
const HELD_BATCHES = 2;

/** Tokenizes rows for the model, without any change to their lengths, and makes the batches of one round. */
export async function prepareWorkload(options: WorkloadOptions): Promise<Workload> {
  const { rows, folder, config, batchSize, steps, newTokens } = options;
  const { training, held } = await loadRows(rows, { tokenizer: await loadTokenizer(folder), config });
  const heldBatches = { batchSize: 2 * batchSize, count: HELD_BATCHES };
  const prompts = drawBatches(held.map(promptTokens), ({ length }) => length, heldBatches);
  const promptBatches = (batches: typeof prompts.grouped) => batches.map((batch) => promptBatch(batch, newTokens));
  return {
    training: workBatches(drawBatches(training, lengthOf, { batchSize, count: steps })),
    evaluation: workBatches(drawBatches(held, lengthOf, heldBatches)),
    generation: { grouped: promptBatches(prompts.grouped), unsorted: promptBatches(prompts.unsorted) },
  };
}

/**
 * Draws batches as transformers does with `group_by_length`: sorts many rows by length, cuts them into batches, and
 * takes some of these at random. The unsorted batches hold the same rows in random order.
 */
function drawBatches<Row>(
  all: readonly Row[],
  tokensOf: (row: Row) => number,
  { batchSize, count }: { readonly batchSize: number; readonly count: number },
): Record<Batching, Row[][]> {
  const random = Random.fromSeed(0);
  const pool = random.shuffle([...all]).slice(0, GROUPED_BATCHES * batchSize);
  const sorted = pool.toSorted((a, b) => tokensOf(a) - tokensOf(b));
  const grouped = random.shuffle(cut(sorted, batchSize)).slice(0, count);
  if (grouped.length < count) throw new RangeError(`found ${grouped.length} batches of rows, expected ${count}`);
  return { grouped, unsorted: cut(random.shuffle(grouped.flat()), batchSize) };
}

/** Cuts rows into batches of equal size and drops the rest. */
function cut<Row>(rows: readonly Row[], size: number): Row[][] {
  return Array.from({ length: Math.floor(rows.length / size) }, (_, i) => rows.slice(i * size, (i + 1) * size));
}

function workBatches({ grouped, unsorted }: Record<Batching, TokenIds[][]>): Record<Batching, WorkBatch[]> {
  return { grouped: grouped.map(workBatch), unsorted: unsorted.map(workBatch) };
}

/** Makes a batch that holds nothing but token ids. */
export function workBatch(examples: readonly TokenIds[]): WorkBatch {
  const lengths = examples.map(lengthOf);
  return {
    examples: examples.map(({ tokenIds, labelSpans }) => ({ tokenIds, labelSpans })),
    tokens: sum(lengths),
    longest: Math.max(...lengths),
  };
}

function promptBatch(prompts: readonly (readonly number[])[], newTokens: number): PromptBatch {
  const lengths = prompts.map(({ length }) => length);
  return {
    prompts,
    newTokens,
    tokens: prompts.length * newTokens,
    promptTokens: sum(lengths),
    longest: Math.max(...lengths),
  };
}

function lengthOf({ tokenIds }: TokenIds): number {
  return tokenIds.length - 1;
}
