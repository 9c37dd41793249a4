import type { Tokenizer } from '../formats/tokenizer/tokenizer.ts';
import type { ExampleRow } from './example.ts';

/** More distinct completions than this are no set of choices to rank. */
export const MAX_CHOICES = 20;

/** The completions that a task chooses from, as tokens. */
export interface ChoiceSet {
  /** In order of their text. */
  readonly texts: readonly string[];
  /** Tokens that every choice begins with. */
  readonly prefix: readonly number[];
  /** What follows the prefix, choice by choice; at least one token each. */
  readonly suffixes: readonly (readonly number[])[];
  /** Position of a row's completion among the choices. @throws RangeError where it is none of them */
  indexOf(row: ExampleRow): number;
}

/**
 * The distinct completions of a dataset, where there are 2 to 20 of them; null otherwise.
 * @param eosTokenId appended to each, as in training
 */
export function findChoices(
  rows: Iterable<ExampleRow>,
  tokenizer: Tokenizer,
  eosTokenId: number | null = null,
): ChoiceSet | null {
  const distinct = new Set<string>();
  for (const { completion } of rows) {
    distinct.add(completion);
    if (distinct.size > MAX_CHOICES) return null;
  }
  if (distinct.size < 2) return null;
  const texts = [...distinct].sort((a, b) => (a < b ? -1 : 1));
  const ids = texts.map((text) => tokenizer.encode(text, { addSpecialTokens: false }));
  if (eosTokenId !== null) for (const choice of ids) choice.push(eosTokenId);
  const shared = sharedPrefix(ids);
  return {
    texts,
    prefix: ids[0]!.slice(0, shared),
    suffixes: ids.map((choice) => choice.slice(shared)),
    indexOf: ({ completion }) => indexOfText(texts, completion),
  };
}

/** Length of the common beginning that leaves every choice at least one token. */
function sharedPrefix(choices: readonly (readonly number[])[]): number {
  const longest = Math.min(...choices.map((choice) => choice.length)) - 1;
  let length = 0;
  while (length < longest && choices.every((choice) => choice[length] === choices[0]![length])) length++;
  return length;
}

function indexOfText(texts: readonly string[], completion: string): number {
  const index = texts.indexOf(completion);
  if (index >= 0) return index;
  throw new RangeError(`completion ${JSON.stringify(completion)} is none of the task's ${texts.length} choices`);
}
