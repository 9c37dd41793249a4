import type { Batch } from '../engine/runtime.ts';
import type { TokenizedExample } from './example.ts';

/*
 * Shapes. The compiled runtime builds one graph for each (rows, length, labels), which takes as long as many steps,
 * while padding costs time in every step. The compromise: lengths in steps of 16 up to 64 and of 32 beyond (a quarter
 * at worst from 64 on, and few rows are shorter than 16), rows always the full batch but where the data has fewer, and
 * label counts in steps of ×1.5 and ×1.33 (a label costs one row of the head, a small part of a step). Examples of like
 * length go together, so that what is padded to a bucket's length belongs there.
 */

/** A batch and the examples it was made of: row i holds example `examples[i]`; further rows are padding. */
export interface ExampleBatch {
  /** Indices into the list of examples. */
  readonly examples: readonly number[];
  readonly batch: Batch;
}

/** Padded length for a row of `tokens` input tokens. */
export function bucketLength(tokens: number): number {
  const step = tokens <= 64 ? 16 : 32;
  return Math.max(1, Math.ceil(tokens / step)) * step;
}

/** Padded number of labels: 8, 12, 16, 24, 32, 48 … */
export function bucketLabels(labels: number): number {
  let size = 8;
  while (size < labels) size = (size & (size - 1)) === 0 ? size * 1.5 : (size / 3) * 4;
  return size;
}

/** Padded number of rows: the batch size, or a smaller power of two where at most half of it is needed. */
export function bucketRows(rows: number, batchSize: number): number {
  let size = 1;
  while (size < rows) size *= 2;
  return Math.min(size, batchSize);
}

/** Input tokens of an example: all but the last, which nothing follows. */
export function inputLength(example: TokenizedExample): number {
  return example.promptIds.length + example.completionIds.length - 1;
}

export interface BatchShape {
  /** Default: as many as there are examples. */
  readonly rows?: number;
  /** Default: the bucket of the longest. */
  readonly length?: number;
}

/**
 * Puts examples into one right-padded batch. The last token of a row is predicted and never read, so it is no input.
 * Label t of a row is the position whose next token is a completion token; labels lie row by row, in order.
 * @throws RangeError where the examples do not fit the shape
 */
export function makeBatch(examples: readonly TokenizedExample[], shape: BatchShape = {}): Batch {
  const rows = shape.rows ?? examples.length;
  const length = shape.length ?? bucketLength(Math.max(...examples.map(inputLength)));
  const labels = bucketLabels(examples.reduce((total, { completionIds }) => total + completionIds.length, 0));
  if (examples.length > rows) throw new RangeError(`batch of ${rows} rows cannot hold ${examples.length} examples`);
  const batch = {
    rows,
    length,
    inputIds: new Int32Array(rows * length),
    labelPositions: new Int32Array(labels),
    labelTargets: new Int32Array(labels),
    labelWeights: new Float32Array(labels),
    tokens: examples.reduce((total, example) => total + inputLength(example), 0),
  };
  let label = 0;
  examples.forEach((example, row) => {
    label = fillRow(batch, example, row, label);
  });
  return batch;
}

function fillRow(batch: Batch, example: TokenizedExample, row: number, firstLabel: number): number {
  const { promptIds, completionIds } = example;
  const tokens = inputLength(example);
  if (tokens > batch.length) throw new RangeError(`row of ${tokens} tokens does not fit a length of ${batch.length}`);
  if (promptIds.length === 0) throw new RangeError('prompt has no tokens, expected one at least');
  const start = row * batch.length;
  batch.inputIds.set(promptIds, start);
  batch.inputIds.set(completionIds.slice(0, -1), start + promptIds.length);
  completionIds.forEach((target, i) => {
    batch.labelPositions[firstLabel + i] = start + promptIds.length - 1 + i;
    batch.labelTargets[firstLabel + i] = target;
    batch.labelWeights[firstLabel + i] = 1;
  });
  return firstLabel + completionIds.length;
}
