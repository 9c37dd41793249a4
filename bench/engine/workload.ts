import { loadTokenizer } from '../../core/formats/tokenizer/tokenizer.ts';
import type { BaseModel } from '../../core/models/base-model.ts';
import { Random } from '../../core/statistics/random.ts';
import { sum } from './report/statistics.ts';
import { loadRows, type RowKind } from './rows.ts';
import type { TokenIds } from './sides/side-protocol.ts';

/** Examples that go through the model together. */
export interface WorkBatch {
  readonly examples: readonly TokenIds[];
  /** Number of input tokens from which a token is predicted: all tokens of a row but its last. */
  readonly tokens: number;
  /** Number of those tokens in the longest row, to which PyTorch pads every row. */
  readonly longest: number;
}

/** Rows of similar length together, which saves padding, or rows as they were drawn. */
export type Batching = 'grouped' | 'unsorted';

export type Figure = 'training' | 'evaluation';

/** The same rows twice, put into batches of equally many rows in two ways. */
export type Workload = Readonly<Record<Figure, Readonly<Record<Batching, readonly WorkBatch[]>>>>;

export interface WorkloadOptions {
  readonly rows: RowKind;
  /** Folder of the base model. */
  readonly folder: string;
  readonly config: BaseModel['config'];
  /** Rows of a training step; an evaluation batch has twice as many. */
  readonly batchSize: number;
  readonly steps: number;
}

/** Batches of which rows are sorted by length at a time, as transformers does with `group_by_length`. */
const GROUPED_BATCHES = 50;

const EVALUATION_BATCHES = 2;

/** Tokenizes rows for the model, without any change to their lengths, and makes the batches of one round. */
export async function prepareWorkload(options: WorkloadOptions): Promise<Workload> {
  const { rows, folder, config, batchSize, steps } = options;
  const { training, held } = await loadRows(rows, { tokenizer: await loadTokenizer(folder), config });
  return {
    training: drawBatches(training, { batchSize, count: steps }),
    evaluation: drawBatches(held, { batchSize: 2 * batchSize, count: EVALUATION_BATCHES }),
  };
}

/**
 * Draws batches as transformers does with `group_by_length`: sorts many rows by length, cuts them into batches, and takes
 * some of these at random. The unsorted batches hold the same rows in random order.
 */
function drawBatches(
  all: readonly TokenIds[],
  { batchSize, count }: { readonly batchSize: number; readonly count: number },
): Record<Batching, WorkBatch[]> {
  const random = Random.fromSeed(0);
  const pool = random.shuffle([...all]).slice(0, GROUPED_BATCHES * batchSize);
  const sorted = pool.toSorted((a, b) => lengthOf(a) - lengthOf(b));
  const grouped = random.shuffle(cut(sorted, batchSize)).slice(0, count);
  if (grouped.length < count) throw new RangeError(`found ${grouped.length} batches of rows, expected ${count}`);
  const unsorted = cut(random.shuffle(grouped.flat()), batchSize);
  return { grouped: grouped.map(workBatch), unsorted: unsorted.map(workBatch) };
}

/** Cuts rows into batches of equal size; what is left over is dropped. */
function cut<Row>(rows: readonly Row[], size: number): Row[][] {
  return Array.from({ length: Math.floor(rows.length / size) }, (_, i) => rows.slice(i * size, (i + 1) * size));
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

function lengthOf({ tokenIds }: TokenIds): number {
  return tokenIds.length - 1;
}
