/** One row of a dataset (JSONL). */
export interface ExampleRow {
  readonly prompt: string;
  readonly completion: string;
}

/** A row as tokens: `encode(prompt)` with the tokenizer's own special tokens, `encode(completion)` without. */
export interface TokenizedExample {
  readonly promptIds: readonly number[];
  readonly completionIds: readonly number[];
  readonly row: ExampleRow;
}
