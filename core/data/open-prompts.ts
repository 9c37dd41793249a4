import { withAnswer, type GivenContent, type RowContent } from '../formats/dataset/dataset-row.ts';
import { promptTokens, type ExampleRow, type TokenizedExample } from './example.ts';
import { tokenizeRows, type TokenizeOptions } from './tokenize.ts';

/** Stands for an answer while the tokens of a prompt are found. */
const PLACEHOLDER = 'x';

/** Gives a prompt alone an answer that means nothing, so that it becomes tokens as rows with answers do. */
export function openPrompt<Row extends GivenContent>(row: Row): Row & RowContent {
  return withAnswer(row, PLACEHOLDER);
}

/** Makes prompts alone into tokens, which have no labels. @throws as {@link tokenizeRows} does */
export function tokenizePrompts(
  rows: readonly (GivenContent & Omit<ExampleRow, keyof RowContent>)[],
  options: Omit<TokenizeOptions, 'appendEos'>,
): TokenizedExample[] {
  const examples = tokenizeRows(rows.map(openPrompt), { ...options, appendEos: false });
  return examples.map((example) => ({ ...example, tokenIds: promptTokens(example), labelSpans: [] }));
}
