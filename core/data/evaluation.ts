import type { Runtime } from '../engine/runtime.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import { sumByExample } from './batching.ts';
import type { ChoiceSet } from './choices.ts';
import type { TokenizedExample } from './example.ts';
import { argmax, forEachBatch, type EvaluationOptions } from './forward-passes.ts';
import { labelSequences } from './make-batch.ts';
import type { MetricName } from '../options/metrics.ts';
import { rankChoices } from './rank-choices.ts';

/** What a metric says of a list of examples. */
export interface Measurement {
  readonly metric: MetricName;
  /** A fraction for `accuracy` and `exact_match`; nats a completion token for `loss`. */
  readonly value: number;
  /** Standard error of `value` over examples. */
  readonly standardError: number;
  readonly examples: number;
  /** Input tokens that went through the model. */
  readonly tokens: number;
  /** By example, in their order: 1 right and 0 wrong; under `loss` the sum over its completion tokens. */
  readonly perExample: Float64Array;
}

export interface MeasureOptions extends EvaluationOptions {
  readonly metric: MetricName;
  /** The task's choices; `accuracy` cannot do without. */
  readonly choices: ChoiceSet | null;
}

/** Measures one metric; `null` is the base without an adapter. */
export async function measure(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  { metric, choices, ...options }: MeasureOptions,
): Promise<Measurement> {
  if (metric === 'loss') return meanLoss(runtime, adapter, examples, options);
  if (metric === 'exact_match') return exactMatch(runtime, adapter, examples, options);
  if (choices) return accuracy(runtime, adapter, examples, { ...options, choices });
  throw new RangeError('metric accuracy needs a task with 2 to 20 distinct completions');
}

/** Mean negative log-likelihood of a completion token, in nats: Σ over examples / Σ of their completion tokens. */
export async function meanLoss(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  options: EvaluationOptions = {},
): Promise<Measurement> {
  const perExample = new Float64Array(examples.length);
  const tokens = await forEachBatch(runtime, examples, options, async (group) => {
    const sums = sumByExample(group, await runtime.labelLosses(adapter, group.batch));
    group.examples.forEach((example, row) => (perExample[example] = sums[row]!));
  });
  const lengths = examples.map(({ completionIds }) => completionIds.length);
  const labels = lengths.reduce((total, length) => total + length, 0);
  const value = perExample.reduce((total, loss) => total + loss, 0) / labels;
  const residuals = perExample.reduce((total, loss, i) => total + (loss - value * lengths[i]!) ** 2, 0);
  const n = examples.length;
  // Linearized variance of a ratio estimator (Cochran, Sampling Techniques, section 6.4).
  const standardError = n > 1 ? Math.sqrt((residuals * n) / (n - 1)) / labels : 0;
  return { metric: 'loss', value, standardError, examples: n, tokens, perExample };
}

/** Share of examples whose own completion has the highest summed log-probability among the task's choices. */
export async function accuracy(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  options: EvaluationOptions & { readonly choices: ChoiceSet },
): Promise<Measurement> {
  const { ranked, tokens } = await rankChoices(runtime, adapter, examples, options);
  const right = examples.map((example, i) => Number(ranked[i] === options.choices.indexOf(example.row)));
  return share('accuracy', right, tokens);
}

/**
 * Share of examples whose completion greedy decoding reproduces token for token. A greedy continuation equals the
 * completion exactly if, with the completion itself as input, the most probable token at each of its positions is its
 * next token (by induction over positions), so one forward pass decides and nothing is generated.
 */
export async function exactMatch(
  runtime: Runtime,
  adapter: Adapter | null,
  examples: readonly TokenizedExample[],
  options: EvaluationOptions = {},
): Promise<Measurement> {
  const right = examples.map(() => 1);
  const tokens = await forEachBatch(runtime, examples, options, async ({ examples: members, batch }) => {
    const logits = await runtime.logits(adapter, batch);
    const vocab = logits.length / batch.labelPositions.length;
    const sequences = labelSequences(batch);
    batch.labelIds.forEach((target, label) => {
      const best = argmax(logits.subarray(label * vocab, (label + 1) * vocab));
      if (best !== target) right[members[sequences[label]!]!] = 0;
    });
  });
  return share('exact_match', right, tokens);
}

function share(metric: MetricName, right: readonly number[], tokens: number): Measurement {
  const n = right.length;
  const value = right.reduce((total, one) => total + one, 0) / n;
  const standardError = Math.sqrt((value * (1 - value)) / n);
  return { metric, value, standardError, examples: n, tokens, perExample: Float64Array.from(right) };
}
