import type { GeneratingBase } from '../../engine/generation/generate-texts.ts';
import type { Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { isGenerated, type MetricName } from '../../options/metrics.ts';
import type { ChoiceSet } from '../choices.ts';
import { labelCount, type TokenizedExample } from '../example.ts';
import { forEachBatch, type EvaluationOptions } from './forward-passes.ts';
import { answerOf, generateAnswers, type AnswerOptions } from './generated-answers.ts';
import { rankChoices, type RankingOptions } from './rank-choices.ts';
import { cannotMatch, exactMatchOf, rougeL, tokenF1 } from './text-scores.ts';

/** Result of measuring one metric on a list of examples. */
export interface Measurement {
  readonly metric: MetricName;
  /** Metric over all examples: nats a completion token for `loss`, a number from 0 to 1 for all others. */
  readonly value: number;
  /** Standard error of `value` that comes from the choice of examples. */
  readonly standardError: number;
  /** Number of examples. */
  readonly examples: number;
  /** Number of input tokens that went through the model. */
  readonly tokens: number;
  /**
   * Outcome of each example, in order: 1 right and 0 wrong; for `rouge_l` and `token_f1` a number from 0 to 1; for
   * `loss` the sum over its completion tokens, in nats.
   */
  readonly perExample: Float64Array;
  /** Ids of the tokens of each example's answer, for metrics that compare whole generated texts. */
  readonly answers?: readonly (readonly number[])[];
  /**
   * Number of answers with a near tie: a place in the text of a draft at which two tokens were equally probable apart
   * from rounding, so that a step of decoding chose the token. For metrics that compare generated texts.
   */
  readonly nearTies?: number;
}

export interface MeasureOptions extends AnswerOptions {
  readonly metric: MetricName;
  /**
   * Completions of the task from which a model chooses; null if the task has no choices. Only `accuracy` needs them.
   */
  readonly choices: ChoiceSet | null;
}

/**
 * Measures one metric of an adapter on a base, or of the base alone if `adapter` is null.
 * @throws RangeError for `accuracy` without choices
 */
export async function measure(
  base: GeneratingBase,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  { metric, choices, ...options }: MeasureOptions,
): Promise<Measurement> {
  if (metric === 'loss') return meanLoss(base.runtime, adapter, examples, options);
  if (isGenerated(metric)) return generatedScore(base, adapter, examples, { ...options, metric });
  if (choices) return accuracy(base.runtime, adapter, examples, { ...options, choices });
  throw new RangeError('the metric accuracy needs a task with 2 to 20 distinct completions');
}

/**
 * Measures the mean negative log-likelihood of a completion token in nats: the sum over all examples, divided by the
 * number of all their completion tokens.
 */
export async function meanLoss(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  options: EvaluationOptions = {},
): Promise<Measurement> {
  const perExample = new Float64Array(examples.length);
  const tokens = await forEachBatch(runtime, examples, options, async ({ batch, members }) => {
    const losses = await runtime.labelLosses(adapter, batch);
    for (const { index, start, end } of members)
      perExample[index] = losses.subarray(start, end).reduce((total, loss) => total + loss, 0);
  });
  const summary = summarizeMetric('loss', perExample, examples.map(labelCount));
  return { metric: 'loss', ...summary, examples: examples.length, tokens, perExample };
}

/**
 * Measures the share of examples whose own completion has the highest summed log-probability among the task's choices.
 * @throws RangeError if the completion of an example is not a choice
 */
export async function accuracy(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  options: RankingOptions,
): Promise<Measurement> {
  const { ranked, tokens } = await rankChoices(runtime, adapter, examples, options);
  const right = Float64Array.from(examples, ({ row }, i) => Number(ranked[i] === options.choices.indexOf(row)));
  return meanScore('accuracy', right, tokens);
}

/** Functions that compare a generated text with the expected one, by metric. Each returns a number from 0 to 1. */
const TEXT_SCORES = { exact_match: exactMatchOf, rouge_l: rougeL, token_f1: tokenF1 } as const;

/** Returns the score of a generated text by a metric, from 0 to 1. */
export function textScore(metric: keyof typeof TEXT_SCORES, text: string, reference: string): number {
  return TEXT_SCORES[metric](text, reference);
}

/**
 * Generates an answer to each example by greedy decoding, and scores how far it agrees with the example's completion.
 */
async function generatedScore(
  base: GeneratingBase,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  { metric, ...options }: AnswerOptions & { readonly metric: keyof typeof TEXT_SCORES },
): Promise<Measurement> {
  const isExact = metric === 'exact_match';
  const generation = { ...options, ...(isExact && EXACT) };
  const { texts, tokens, nearTies } = await generateAnswers(base, adapter, examples, generation);
  const scores = Float64Array.from(texts, ({ text, reference }) => TEXT_SCORES[metric](text, reference));
  const measured = { ...meanScore(metric, scores, tokens), nearTies };
  return isExact ? measured : { ...measured, answers: texts.map(({ tokenIds }) => tokenIds) };
}

/**
 * Settings for answers that have to equal the completion of their row. The completion is the draft, and an answer ends
 * as soon as it differs from the completion, because it is then wrong, whatever follows.
 */
const EXACT: Pick<AnswerOptions, 'draftOf' | 'isSettled'> = {
  draftOf: (example) => answerOf(example).labelIds,
  isSettled: cannotMatch,
};

function meanScore(metric: MetricName, scores: Float64Array, tokens: number): Measurement {
  return { metric, ...summarizeMetric(metric, scores, []), examples: scores.length, tokens, perExample: scores };
}

/**
 * Returns the value of a metric and its standard error over examples.
 * @param perExample as in {@link Measurement}
 * @param lengths number of completion tokens of each example, which only `loss` needs
 */
export function summarizeMetric(
  metric: MetricName,
  perExample: ArrayLike<number>,
  lengths: readonly number[],
): Pick<Measurement, 'value' | 'standardError'> {
  const values = Float64Array.from(perExample);
  return metric === 'loss' ? meanOfTokens(values, Float64Array.from(lengths)) : meanOfExamples(values);
}

function meanOfTokens(losses: Float64Array, lengths: Float64Array) {
  const labels = lengths.reduce((total, length) => total + length, 0);
  const value = losses.reduce((total, loss) => total + loss, 0) / labels;
  const residuals = losses.reduce((total, loss, i) => total + (loss - value * lengths[i]!) ** 2, 0);
  const n = losses.length;
  // Linearized variance of a ratio estimator (Cochran, Sampling Techniques, section 6.4).
  return { value, standardError: n > 1 ? Math.sqrt((residuals * n) / (n - 1)) / labels : 0 };
}

/**
 * Returns the mean of scores and its standard error. For scores of 0 and 1, the mean of the squared deviations is value
 * · (1 − value).
 */
function meanOfExamples(scores: Float64Array) {
  const n = scores.length;
  const value = scores.reduce((total, score) => total + score, 0) / n;
  const squares = scores.reduce((total, score) => total + (score - value) ** 2, 0);
  return { value, standardError: Math.sqrt(squares) / n };
}
