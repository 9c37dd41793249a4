import type { LabelTargets } from '../engine/runtime.ts';
import type { RowContent } from '../formats/dataset/dataset-row.ts';

/** One row of a dataset. */
export type ExampleRow = RowContent & {
  /** Names of the groups that the row is reported in. */
  readonly slices?: readonly string[];
  /** Name of the file that the row was read from, for messages. */
  readonly file?: string;
  /** Number of its line in that file, from 1. */
  readonly line?: number;
  /** The row's tokens, where its answer is one that a version has generated. Default: the tokens of its text. */
  readonly written?: WrittenTokens;
};

/** What a version has read and what it has generated, which need not be the tokens of the same text. */
interface WrittenTokens {
  readonly promptIds: readonly number[];
  /** At least one. It ends with the end of the text, unless the version did not come to an end. */
  readonly answerIds: readonly number[];
}

/** Token positions [start, end) of a row that the model learns to predict and is measured on. */
export type LabelSpan = readonly [start: number, end: number];

/** A row as tokens, up to its last label. */
export interface TokenizedExample {
  /** [tokens] the whole row: the special tokens that the tokenizer adds, the prompt and the completion. */
  readonly tokenIds: readonly number[];
  /** In order and apart from each other; at least one, none of them empty or at position 0. The last one ends the row. */
  readonly labelSpans: readonly LabelSpan[];
  readonly row: ExampleRow;
  /** What the limit of length has taken from the row's beginning. Absent if nothing was. */
  readonly cut?: RowCut;
  /**
   * The prompt's own tokens where they are others than those in front of the last labels, because text of both makes one
   * token. A server that gets the prompt alone sees these.
   */
  readonly promptAlone?: readonly number[];
  /** What training learns at the labels in place of their tokens. Default: the tokens. */
  readonly targets?: LabelTargets;
}

export interface RowCut {
  /** Number of tokens. */
  readonly tokens: number;
  /** Number of earlier turns of the assistant that are not learned, because they or their beginnings were cut. */
  readonly turns: number;
}

/** Number of tokens that the model learns to predict. */
export function labelCount({ labelSpans }: Pick<TokenizedExample, 'labelSpans'>): number {
  return labelSpans.reduce((total, [start, end]) => total + end - start, 0);
}

/** The tokens that the model learns to predict. */
export function labelTokens({ tokenIds, labelSpans }: Pick<TokenizedExample, 'tokenIds' | 'labelSpans'>): number[] {
  return labelSpans.flatMap(([start, end]) => tokenIds.slice(start, end));
}

/** The tokens to generate the last turn or completion from: what a server sees of this row. */
export function promptTokens({ tokenIds, labelSpans, promptAlone }: TokenizedExample): readonly number[] {
  return promptAlone ?? tokenIds.slice(0, labelSpans.at(-1)?.[0]);
}

/** Makes an example of the tokens of a prompt and of the completion behind it. */
export function exampleOf(
  promptIds: readonly number[],
  completionIds: readonly number[],
  row: ExampleRow,
): TokenizedExample {
  const tokenIds = [...promptIds, ...completionIds];
  return { tokenIds, labelSpans: [[promptIds.length, tokenIds.length]], row };
}
