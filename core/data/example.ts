/** One row of a dataset (JSONL). */
export interface ExampleRow {
  readonly prompt: string;
  readonly completion: string;
  /** Where it was read from, for messages: name of the file, and line from 1. */
  readonly file?: string;
  readonly line?: number;
}

/** A row as tokens: `encode(prompt)` with the tokenizer's own special tokens, `encode(completion)` without. */
export interface TokenizedExample {
  readonly promptIds: readonly number[];
  readonly completionIds: readonly number[];
  readonly row: ExampleRow;
}
