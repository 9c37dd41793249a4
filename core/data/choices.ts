import type { Tokenizer } from '../formats/tokenizer/tokenizer.ts';
import type { ExampleRow } from './example.ts';

/** Largest number of distinct completions that count as a set of choices to rank. */
const MAX_CHOICES = 20;

/** The completions that a task chooses from, as tokens. */
export interface ChoiceSet {
  /** The completions, sorted. */
  readonly texts: readonly string[];
  /** The tokens that every choice begins with. */
  readonly prefix: readonly number[];
  /** The tokens of each choice behind the prefix; at least one. */
  readonly suffixes: readonly (readonly number[])[];
  /** Returns the index of a row's completion among the choices. @throws RangeError if it is not one of them */
  indexOf(row: ExampleRow): number;
}

/** Returns the distinct completions of a dataset, sorted, if there are 2 to 20 of them; otherwise null. */
export function choiceTexts(rows: Iterable<ExampleRow>): string[] | null {
  const distinct = new Set<string>();
  for (const { completion } of rows) {
    distinct.add(completion);
    if (distinct.size > MAX_CHOICES) return null;
  }
  return distinct.size < 2 ? null : [...distinct].sort();
}

/** Returns the {@link choiceTexts} of a dataset as tokens; null if the task does not choose from a small set. */
export function findChoices(rows: Iterable<ExampleRow>, tokenizer: Tokenizer): ChoiceSet | null {
  const texts = choiceTexts(rows);
  if (texts === null) return null;
  const choices = texts.map((text) => tokenizer.encode(text, { addSpecialTokens: false }));
  const prefix = sharedPrefix(choices);
  return {
    texts,
    prefix,
    suffixes: choices.map((choice) => choice.slice(prefix.length)),
    indexOf({ completion }) {
      const index = texts.indexOf(completion);
      if (index >= 0) return index;
      throw new RangeError(
        `the completion ${JSON.stringify(completion)} is not one of the task's ${texts.length} choices`,
      );
    },
  };
}

/** Returns the longest common beginning that leaves every choice at least one token. */
function sharedPrefix([first = [], ...others]: readonly (readonly number[])[]): readonly number[] {
  const longest = Math.min(first.length, ...others.map(({ length }) => length)) - 1;
  const end = first.findIndex((token, i) => i >= longest || others.some((choice) => choice[i] !== token));
  return first.slice(0, end);
}
