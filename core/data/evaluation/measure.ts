import type { Runtime } from '../../engine/runtime.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { MetricName } from '../../options/metrics.ts';
import type { ChoiceSet } from '../choices.ts';
import { labelCount, type TokenizedExample } from '../example.ts';
import { forEachBatch, type EvaluationOptions } from './forward-passes.ts';
import { rankChoices, type RankingOptions } from './rank-choices.ts';

/** The value of a metric on a list of examples. */
export interface Measurement {
  readonly metric: MetricName;
  /** A fraction for `accuracy` and `exact_match`; nats a completion token for `loss`. */
  readonly value: number;
  /** Standard error of `value` over examples. */
  readonly standardError: number;
  /** Number of examples. */
  readonly examples: number;
  /** Number of input tokens that went through the model. */
  readonly tokens: number;
  /** In the order of the examples: 1 right and 0 wrong; for `loss` the sum over the completion tokens, in nats. */
  readonly perExample: Float64Array;
}

export interface MeasureOptions extends EvaluationOptions {
  readonly metric: MetricName;
  /** The completions that the task chooses from. Only `accuracy` needs them. */
  readonly choices: ChoiceSet | null;
}

/**
 * Measures one metric; `null` measures the base without an adapter.
 * @throws RangeError for `accuracy` without choices
 */
export async function measure(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  { metric, choices, ...options }: MeasureOptions,
): Promise<Measurement> {
  if (metric === 'loss') return meanLoss(runtime, adapter, examples, options);
  if (metric === 'exact_match') return exactMatch(runtime, adapter, examples, options);
  if (choices) return accuracy(runtime, adapter, examples, { ...options, choices });
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
    for (const { index, start, end } of members) {
      perExample[index] = losses.subarray(start, end).reduce((total, loss) => total + loss, 0);
    }
  });
  const lengths = Float64Array.from(examples, labelCount);
  const labels = lengths.reduce((total, length) => total + length, 0);
  const value = perExample.reduce((total, loss) => total + loss, 0) / labels;
  const residuals = perExample.reduce((total, loss, i) => total + (loss - value * lengths[i]!) ** 2, 0);
  const n = examples.length;
  // Linearized variance of a ratio estimator (Cochran, Sampling Techniques, section 6.4).
  const standardError = n > 1 ? Math.sqrt((residuals * n) / (n - 1)) / labels : 0;
  return { metric: 'loss', value, standardError, examples: n, tokens, perExample };
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
  return share('accuracy', right, tokens);
}

/**
 * Measures the share of examples whose completion greedy decoding reproduces token for token. Greedy decoding gives the
 * completion exactly if, with the completion itself as input, the most probable token at each of its positions is its
 * next token (by induction over positions). So one forward pass decides, and nothing is generated.
 */
export async function exactMatch(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  options: EvaluationOptions = {},
): Promise<Measurement> {
  const right = new Float64Array(examples.length);
  const tokens = await forEachBatch(runtime, examples, options, async ({ batch, members }) => {
    const logits = await runtime.logits(adapter, batch);
    const vocab = logits.length / batch.labelPositions.length;
    const isGreedy = (token: number, label: number): boolean =>
      token === argmax(logits.subarray(label * vocab, (label + 1) * vocab));
    for (const { index, example, start } of members) {
      const labels = example.labelSpans.flatMap(([from, to]) => example.tokenIds.slice(from, to));
      right[index] = Number(labels.every((token, i) => isGreedy(token, start + i)));
    }
  });
  return share('exact_match', right, tokens);
}

/** Returns the index of the largest value; the first of equal ones. */
function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

function share(metric: MetricName, right: Float64Array, tokens: number): Measurement {
  const n = right.length;
  const value = right.reduce((total, one) => total + one, 0) / n;
  const standardError = Math.sqrt((value * (1 - value)) / n);
  return { metric, value, standardError, examples: n, tokens, perExample: right };
}
