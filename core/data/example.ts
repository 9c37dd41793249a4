import type { LabelTargets } from '../engine/runtime.ts';
import type { RowContent } from '../formats/dataset/dataset-row.ts';

/** Row of a dataset. */
export type ExampleRow = RowContent & {
  /** Names of the slices in which the row is reported. */
  readonly slices?: readonly string[];
  /** Name of the row's file, for messages. */
  readonly file?: string;
  /** Line number in that file, from 1. */
  readonly line?: number;
  /** Tokens of the row, if a version has generated its answer. Default: the tokens of its text. */
  readonly written?: WrittenTokens;
};

/** Tokens that a version has read and generated. They may differ from the tokens of the same text. */
interface WrittenTokens {
  readonly promptIds: readonly number[];
  /** Generated tokens, at least one. They end with the end-of-text token, unless generation reached its limit. */
  readonly answerIds: readonly number[];
}

/** Token positions [start, end) of a row that the model learns to predict and is measured on. */
export type LabelSpan = readonly [start: number, end: number];

/** Row as tokens, up to its last label. */
export interface TokenizedExample {
  /** Tokens of the whole row: the special tokens that the tokenizer adds, the prompt and the completion. */
  readonly tokenIds: readonly number[];
  /** Spans in order, disjoint; at least one, none of them empty or at position 0. The last one ends the row. */
  readonly labelSpans: readonly LabelSpan[];
  readonly row: ExampleRow;
  /** Tokens and turns that truncation has removed from the row's beginning. Absent if there are none. */
  readonly cut?: RowCut;
  /**
   * Tokens of the prompt alone, if they differ from those in front of the last labels, because one token has text of
   * both. A server that gets only the prompt sees these.
   */
  readonly promptAlone?: readonly number[];
  /** Targets that training learns at the labels instead of their tokens. Default: the tokens. */
  readonly targets?: LabelTargets;
}

export interface RowCut {
  /** Number of tokens. */
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

/** The tokens that the model learns to predict. */
export function labelTokens({ tokenIds, labelSpans }: Pick<TokenizedExample, 'tokenIds' | 'labelSpans'>): number[] {
  return labelSpans.flatMap(([start, end]) => tokenIds.slice(start, end));
}

/** Tokens to generate the last turn or completion from, as a server sees them for this row. */
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
