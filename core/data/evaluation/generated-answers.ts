import { generateTexts, type GeneratingBase } from '../../engine/generation/generate-texts.ts';
import type { TextSizes } from '../../engine/generation/greedy.ts';
import { expectedText } from '../../formats/dataset/dataset-row.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { promptTokens, type TokenizedExample } from '../example.ts';
import type { EvaluationOptions } from './forward-passes.ts';

export interface AnswerOptions extends EvaluationOptions {
  /** Largest number of tokens that are generated for a row; 0 takes the limits of {@link answerLimits}. */
  readonly maxNewTokens?: number;
  /** Largest number of tokens of a prompt with its answer. Default: as many as the model has positions. */
  readonly maxLength?: number;
}

export interface GeneratedAnswer {
  readonly text: string;
  /** All generated tokens, including the end-of-text token. */
  readonly tokenIds: readonly number[];
  readonly reference: string;
}

export interface Answers {
  /** Generated and expected text of each example. */
  readonly texts: readonly GeneratedAnswer[];
  /** Number of input tokens that went through the model. */
  readonly tokens: number;
}

/** Prompt of an example and its expected answer, in tokens and as text. */
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
  { maxNewTokens = 0, maxLength = Infinity, batchSize, signal }: AnswerOptions,
): Promise<Answers> {
  if (examples.length === 0) throw new RangeError('there are no examples to evaluate, expected at least one');
  const answers = examples.map(answerOf);
  const limits = answerLimits(answers, base.endOfTextIds, maxNewTokens);
  const positions = Math.min(maxLength, base.runtime.base.config.maxPositionEmbeddings);
  const requests = answers.map(({ promptIds }, index) => {
    return { promptIds, maxNewTokens: Math.max(1, Math.min(limits[index]!, positions - promptIds.length)) };
  });
  const generated = await generateTexts(base, adapter, requests, {
    ...(batchSize !== undefined && { maxRows: batchSize }),
    ...(signal && { signal }),
  });
  return {
    texts: generated.map(({ text, tokenIds }, index) => ({ text, tokenIds, reference: answers[index]!.reference })),
    // The last token of a text is predicted, not fed.
    tokens: generated.reduce(
      (sum, { tokenIds }, index) => sum + answers[index]!.promptIds.length + tokenIds.length - 1,
      0,
    ),
  };
}

/** Returns the largest sizes that {@link generateAnswers} may reach, whatever token ends a text. */
export function answerSizes(examples: readonly TokenizedExample[], maxNewTokens: number): TextSizes {
  const answers = examples.map(answerOf);
  const limit = maxNewTokens > 0 ? maxNewTokens : mostNewTokens(answers);
  const longestPrompt = answers.reduce((most, { promptIds }) => Math.max(most, promptIds.length), 0);
  return { count: answers.length, longest: longestPrompt + limit };
}

/** Number of tokens that an answer may have beyond twice the longest completion. */
const MARGIN = 16;

/**
 * Chooses the largest number of generated tokens for each row, if none is given: twice as many as the longest
 * completion has, and a few more. An adapter whose completions do not end with an end-of-text token never learned to
 * stop, so it gets only as many tokens as the row's own completion has.
 */
export function answerLimits(
  answers: readonly Pick<Answer, 'labelIds'>[],
  endOfTextIds: readonly number[],
  maxNewTokens: number,
): number[] {
  if (maxNewTokens > 0) return answers.map(() => maxNewTokens);
  const most = mostNewTokens(answers);
  const ends = new Set(endOfTextIds);
  return answers.map(({ labelIds }) => (ends.has(labelIds.at(-1)!) ? most : labelIds.length));
}

function mostNewTokens(answers: readonly Pick<Answer, 'labelIds'>[]): number {
  return 2 * answers.reduce((longest, { labelIds }) => Math.max(longest, labelIds.length), 0) + MARGIN;
}
