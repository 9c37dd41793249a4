import { generateTexts, type GeneratingBase } from '../../engine/generation/generate-texts.ts';
import type { TextSizes } from '../../engine/generation/greedy.ts';
import { expectedText } from '../../formats/dataset/dataset-row.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { promptTokens, type TokenizedExample } from '../example.ts';
import type { EvaluationOptions } from './forward-passes.ts';

export interface AnswerOptions extends EvaluationOptions {
  /** Largest number of tokens to generate for a row; 0 chooses it by {@link answerLimits}. */
  readonly maxNewTokens?: number;
  /**
   * Number of tokens of the longest completion, from which the limits follow if `maxNewTokens` is 0. Default: that of
   * the examples. Measurements of different rows that are compared with each other need the same number.
   */
  readonly longestCompletion?: number | undefined;
  /**
   * Largest number of tokens of a prompt together with its answer. Default: the number of positions that the model has.
   */
  readonly maxLength?: number;
  /**
   * Function that returns a draft for an example: tokens of which its answer may well consist, such as the answer of
   * another version. A right draft saves time. Default: no drafts.
   */
  readonly draftOf?: (example: TokenizedExample) => readonly number[] | undefined;
  /**
   * Function that returns whether the beginning of an answer already determines its score, so that generation can stop
   * there.
   */
  readonly isSettled?: (beginning: string, reference: string) => boolean;
}

export interface GeneratedAnswer {
  readonly text: string;
  /** Ids of all generated tokens, including the end-of-text token. */
  readonly tokenIds: readonly number[];
  readonly reference: string;
}

export interface Answers {
  /** Generated text of each example beside the expected one. */
  readonly texts: readonly GeneratedAnswer[];
  /** Number of input tokens that the model computed. */
  readonly tokens: number;
  /**
   * Number of answers with a near tie: a place in the text of a draft at which two tokens were equally probable apart
   * from rounding, so that a step of decoding chose the token.
   */
  readonly nearTies: number;
}

/** Prompt of an example and the answer expected to it, as token ids and as text. */
export interface Answer {
  readonly promptIds: readonly number[];
  readonly labelIds: readonly number[];
  readonly reference: string;
}

/** Returns the prompt of an example and its expected answer. */
export function answerOf(example: TokenizedExample): Answer {
  const { tokenIds, labelSpans, row } = example;
  const [start] = labelSpans.at(-1) ?? [tokenIds.length];
  return { promptIds: promptTokens(example), labelIds: tokenIds.slice(start), reference: expectedText(row) };
}

/**
 * Generates an answer to the prompt of each example.
 * @throws RangeError if there are no examples
 */
export async function generateAnswers(
  base: GeneratingBase,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  { maxNewTokens = 0, longestCompletion, maxLength = Infinity, batchSize, signal, ...options }: AnswerOptions,
): Promise<Answers> {
  if (examples.length === 0) throw new RangeError('there are no examples to evaluate, expected at least one');
  const answers = examples.map(answerOf);
  const limits = answerLimits(answers, base.endOfTextIds, { maxNewTokens, longestCompletion });
  const positions = Math.min(maxLength, base.runtime.base.config.maxPositionEmbeddings);
  const requests = answers.map(({ promptIds }, index) => ({
    promptIds,
    maxNewTokens: Math.max(1, Math.min(limits[index]!, positions - promptIds.length)),
    draftIds: options.draftOf?.(examples[index]!) ?? [],
  }));
  const { isSettled } = options;
  const generated = await generateTexts(base, adapter, requests, {
    ...(batchSize !== undefined && { maxRows: batchSize }),
    ...(signal && { signal }),
    ...(isSettled && { isSettled: (request, text) => isSettled(text, answers[request]!.reference) }),
  });
  return {
    texts: generated.map(({ text, tokenIds }, index) => ({ text, tokenIds, reference: answers[index]!.reference })),
    // The last token of a text is predicted, not fed.
    tokens: generated.reduce(
      (sum, { tokenIds }, index) => sum + answers[index]!.promptIds.length + tokenIds.length - 1,
      0,
    ),
    nearTies: generated.filter((text) => text.nearTies > 0).length,
  };
}

/** Returns the largest sizes of the texts that {@link generateAnswers} may generate, for the memory plan. */
export function answerSizes(examples: readonly TokenizedExample[], maxNewTokens: number): TextSizes {
  const answers = examples.map(answerOf);
  const limit = maxNewTokens > 0 ? maxNewTokens : mostNewTokens(longestOf(answers));
  const longestPrompt = answers.reduce((most, { promptIds }) => Math.max(most, promptIds.length), 0);
  return { count: answers.length, longest: longestPrompt + limit };
}

/** Number of tokens that an answer may have in addition to twice the length of the longest completion. */
const MARGIN = 16;

/** Returns the number of tokens in the longest completion of the examples. */
export function longestCompletionOf(examples: readonly TokenizedExample[]): number {
  return longestOf(examples.map(answerOf));
}

/**
 * Returns the largest number of tokens to generate for each row: `maxNewTokens` or, if that is 0, a little over twice
 * the length of the longest completion. In the latter case, a row whose completion does not end with an end-of-text
 * token gets only the length of that completion, because an adapter trained on such rows never learned to stop.
 */
export function answerLimits(
  answers: readonly Pick<Answer, 'labelIds'>[],
  endOfTextIds: readonly number[],
  { maxNewTokens = 0, longestCompletion = longestOf(answers) }: AnswerLimits,
): number[] {
  if (maxNewTokens > 0) return answers.map(() => maxNewTokens);
  const most = mostNewTokens(longestCompletion);
  const ends = new Set(endOfTextIds);
  return answers.map(({ labelIds }) => (ends.has(labelIds.at(-1)!) ? most : labelIds.length));
}

type AnswerLimits = Pick<AnswerOptions, 'maxNewTokens' | 'longestCompletion'>;

function longestOf(answers: readonly Pick<Answer, 'labelIds'>[]): number {
  return answers.reduce((longest, { labelIds }) => Math.max(longest, labelIds.length), 0);
}

function mostNewTokens(longest: number): number {
  return 2 * longest + MARGIN;
}
