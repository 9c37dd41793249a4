/** One row of a dataset. */
export interface ExampleRow {
  readonly prompt: string;
  readonly completion: string;
  /** Name of the file that the row was read from, for messages. */
  readonly file?: string;
  /** Number of its line in that file, from 1. */
  readonly line?: number;
}

/** A row as tokens: the prompt with the special tokens that the tokenizer adds, the completion without them. */
export interface TokenizedExample {
  readonly promptIds: readonly number[];
  readonly completionIds: readonly number[];
  readonly row: ExampleRow;
}
