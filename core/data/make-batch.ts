import type { Batch } from '../engine/runtime.ts';
import type { TokenizedExample } from './example.ts';

/** A batch and the examples it was made of: sequence i holds example `examples[i]`. */
export interface ExampleBatch {
  /** Indices into the list of examples. */
  readonly examples: readonly number[];
  readonly batch: Batch;
}

/** Input tokens of an example: all but the last, which nothing follows. */
export function inputLength(example: TokenizedExample): number {
  return example.promptIds.length + example.completionIds.length - 1;
}

/**
 * Puts examples one behind the other. The last token of each is predicted and never read, so it is no input. Labels are
 * the positions whose next token is a completion token, in order.
 * @throws RangeError where an example has no prompt token to predict from, or no completion
 */
export function makeBatch(examples: readonly TokenizedExample[]): Batch {
  const total = (count: (example: TokenizedExample) => number) => examples.reduce((sum, each) => sum + count(each), 0);
  const labels = total(({ completionIds }) => completionIds.length);
  const batch = {
    inputIds: new Int32Array(total(inputLength)),
    sequenceLengths: Int32Array.from(examples, inputLength),
    textLengths: Int32Array.from(examples, (example) => inputLength(example) + 1),
    labelPositions: new Int32Array(labels),
    labelIds: new Int32Array(labels),
  };
  let [start, label] = [0, 0];
  for (const { promptIds, completionIds } of examples) {
    if (promptIds.length === 0) throw new RangeError('prompt has no tokens, expected one at least');
    if (completionIds.length === 0) throw new RangeError('completion has no tokens, expected one at least');
    batch.inputIds.set(promptIds, start);
    batch.inputIds.set(completionIds.slice(0, -1), start + promptIds.length);
    batch.labelPositions.set(
      completionIds.map((_, i) => start + promptIds.length - 1 + i),
      label,
    );
    batch.labelIds.set(completionIds, label);
    start += promptIds.length + completionIds.length - 1;
    label += completionIds.length;
  }
  return batch;
}

/** [labels] the sequence that each label belongs to. */
export function labelSequences({ sequenceLengths, labelPositions }: Batch): Int32Array {
  const ends: number[] = [];
  for (const length of sequenceLengths) ends.push((ends.at(-1) ?? 0) + length);
  let sequence = 0;
  return labelPositions.map((position) => {
    while (position >= ends[sequence]!) sequence++;
    return sequence;
  });
}
