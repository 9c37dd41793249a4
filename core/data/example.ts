import type { LabelTargets } from '../engine/runtime.ts';
import type { RowContent } from '../formats/dataset/dataset-row.ts';

/** Row of a dataset as text, with its place in the file. */
export type ExampleRow = RowContent & {
  /** Names of the slices that the row belongs to. */
  readonly slices?: readonly string[];
  /** Name of the file that the row was read from, for messages. */
  readonly file?: string;
  /** Line number of the row in its file, from 1. */
  readonly line?: number;
  /**
   * Tokens that a version has read and generated, if it has written the row's answer. Default: none; the text is
   * tokenized.
   */
  readonly written?: WrittenTokens;
};

/** Token ids of a prompt and its generated answer. Tokenizing the same text again might give others. */
interface WrittenTokens {
  readonly promptIds: readonly number[];
  /** Generated tokens, at least one. They end with the end-of-text token, unless generation reached its limit. */
  readonly answerIds: readonly number[];
}

/** Range [start, end) of a row's token positions that the model learns to predict and is measured on. */
export type LabelSpan = readonly [start: number, end: number];

/** Tokenized row of a dataset, up to its last label. */
export interface TokenizedExample {
  /** Tokens of the whole row: the special tokens that the tokenizer adds, the prompt and the completion. */
  readonly tokenIds: readonly number[];
  /**
   * Token ranges that are learned and measured, in order and disjoint. There is at least one; none is empty or begins
   * at position 0, and the last one ends the row.
   */
  readonly labelSpans: readonly LabelSpan[];
  readonly row: ExampleRow;
  /** Number of tokens and turns that were cut off the row's beginning because it was too long. Absent if none were. */
  readonly cut?: RowCut;
  /**
   * Tokens of the prompt when it is tokenized alone, as by a server that gets only the prompt. Absent if they equal the
   * tokens in front of the last labels. They differ from those if one token spans the end of the prompt and the
   * beginning of the completion.
   */
  readonly promptAlone?: readonly number[];
  /**
   * Soft targets that training learns at the labels in place of the row's own tokens. Default: the row's own tokens.
   */
  readonly targets?: LabelTargets;
}

export interface RowCut {
  /** Number of tokens that were cut off. */
  readonly tokens: number;
  /**
   * Number of earlier turns of the assistant that are not learned, because truncation removed them or their beginnings.
   */
  readonly turns: number;
}

/** Number of tokens that the model learns to predict. */
export function labelCount({ labelSpans }: Pick<TokenizedExample, 'labelSpans'>): number {
  return labelSpans.reduce((total, [start, end]) => total + end - start, 0);
}

/** Returns the tokens that the model learns to predict. */
export function labelTokens({ tokenIds, labelSpans }: Pick<TokenizedExample, 'tokenIds' | 'labelSpans'>): number[] {
  return labelSpans.flatMap(([start, end]) => tokenIds.slice(start, end));
}

/**
 * Returns the tokens from which the last turn or completion is generated: those that a server would get for this
 * prompt.
 */
export function promptTokens({ tokenIds, labelSpans, promptAlone }: TokenizedExample): readonly number[] {
  return promptAlone ?? tokenIds.slice(0, labelSpans.at(-1)?.[0]);
}

/** Builds an example from the tokens of a prompt and of its completion. */
export function exampleOf(
  promptIds: readonly number[],
  completionIds: readonly number[],
  row: ExampleRow,
): TokenizedExample {
  const tokenIds = [...promptIds, ...completionIds];
  return { tokenIds, labelSpans: [[promptIds.length, tokenIds.length]], row };
}
