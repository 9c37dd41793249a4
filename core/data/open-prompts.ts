import { withAnswer, type GivenContent, type RowContent } from '../formats/dataset/dataset-row.ts';
import { promptTokens, type ExampleRow, type TokenizedExample } from './example.ts';
import { tokenizeRows, type TokenizeOptions } from './tokenize.ts';

/** Placeholder answer for tokenizing a prompt. */
const PLACEHOLDER = 'x';

/**
 * Gives a placeholder answer to a row that is a prompt alone, so that it can be tokenized like a row with an answer.
 */
export function withPlaceholder<Row extends GivenContent>(row: Row): Row & RowContent {
  return withAnswer(row, PLACEHOLDER);
}

/**
 * Tokenizes rows that are prompts alone. The result has no labels to learn.
 * @throws the errors of {@link tokenizeRows}
 */
export function tokenizeOpenPrompts(
  rows: readonly (GivenContent & Omit<ExampleRow, keyof RowContent>)[],
  options: Omit<TokenizeOptions, 'appendEos'>,
): TokenizedExample[] {
  const examples = tokenizeRows(rows.map(withPlaceholder), { ...options, appendEos: false });
  return examples.map((example) => ({ ...example, tokenIds: promptTokens(example), labelSpans: [] }));
}
