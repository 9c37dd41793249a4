import { expectedText, withAnswer } from '../formats/dataset/dataset-row.ts';
import type { ExampleRow } from './example.ts';
import { variantTokenizer, type TokenizedVariants, type TokenizeOptions } from './tokenize.ts';

/** Largest number of distinct completions in a task for which they count as choices to rank. */
const MAX_CHOICES = 20;

/** Set of all completions that occur in a task, from which a model chooses by probability. */
export interface ChoiceSet {
  /** Distinct completions of the task, sorted. */
  readonly texts: readonly string[];
  /**
   * Returns the index of a row's completion among the choices.
   * @throws RangeError if it is not one of them
   */
  indexOf(row: ExampleRow): number;
  /**
   * Returns the tokens of a row with each of the choices as its completion. The whole text is tokenized, because the
   * end of the prompt can change the tokens of a choice.
   */
  tokensOf(row: ExampleRow): TokenizedVariants;
}

/** Returns the distinct completions of a dataset, sorted, if there are 2 to 20 of them; otherwise null. */
export function choiceTexts(rows: Iterable<ExampleRow>): string[] | null {
  const distinct = new Set<string>();
  for (const row of rows) {
    distinct.add(expectedText(row));
    if (distinct.size > MAX_CHOICES) return null;
  }
  return distinct.size < 2 ? null : [...distinct].sort();
}

/**
 * Returns the choices of a dataset, which {@link choiceTexts} finds, with functions that look up and tokenize them for
 * a row; null if there are fewer than 2 or more than 20 distinct completions.
 */
export function findChoices(rows: Iterable<ExampleRow>, options: TokenizeOptions): ChoiceSet | null {
  const texts = choiceTexts(rows);
  if (texts === null) return null;
  const tokenize = variantTokenizer(options);
  const known = new WeakMap<ExampleRow, TokenizedVariants>();
  return {
    texts,
    indexOf(row) {
      const text = expectedText(row);
      const index = texts.indexOf(text);
      if (index >= 0) return index;
      throw new RangeError(`the completion ${JSON.stringify(text)} is not one of the task's ${texts.length} choices`);
    },
    tokensOf(row) {
      const variants = known.get(row) ?? tokenize(texts.map((text) => expecting(row, text)));
      known.set(row, variants);
      return variants;
    },
  };
}

/** Returns the row with this text as its completion. */
function expecting({ written: _, ...row }: ExampleRow, text: string): ExampleRow {
  return withAnswer(row, text);
}
